"""What a plugin's tests use: the core's own machinery around one class of yours.

    async def test_nobody_passes_at_noon():
        policy = Quiet(context("quiet"), Quiet.Config())
        assert await refusals(policy, passage(at=NOON)) == ["door.not_now"]

`refusals` goes through the same panel as a real door, so a policy that raises or hangs in a test is the denial that it
would be there. The fixtures of the same names come with `pip install menwei` (pytest finds them by itself).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from menwei.boardfacts import BoardDecision
from menwei.clock import TrustedClock
from menwei.context import Context, Memory
from menwei.model import (
    FOREVER,
    Check,
    Credential,
    CredentialState,
    DeviceInfo,
    Document,
    DoorState,
    IdentifierType,
)
from menwei.panel import Panel
from menwei.plugin import Driver, Passage, Policy

CARD = frozenset({IdentifierType.CARD})


def context(
    plugin: str = "test", granted: Mapping[str, Any] | None = None, memory: Memory | None = None
) -> Context:
    """A `Context` as the core would hand it; `granted` are the permissions the site allowed, `memory` is for drivers
    (`menwei.memory.FileMemory`)."""
    return Context(plugin, structlog.get_logger(plugin), TrustedClock(), granted=granted, memory=memory)


def credential(**changes: Any) -> Credential:
    """A card in order, of holder 1; name what is different about yours."""
    facts: dict[str, Any] = {
        "id": 1,
        "holder": 1,
        "state": CredentialState.ENABLED,
        "valid_from": 0.0,
        "valid_to": FOREVER,
        "profiles": ("residents",),
        "factors": CARD,
    }
    return Credential(**(facts | changes))


def passage(**changes: Any) -> Passage:
    """Somebody with a card in order at the inside of a gate, now; name what is different about yours."""
    facts: dict[str, Any] = {
        "access_point": "gate-in",
        "door": "gate",
        "area_from": "",
        "area_to": "yard",
        "credential": credential(),
        "factors": CARD,
        "at": time.time(),
    }
    return Passage(**(facts | changes))


async def checks(policy: Policy, asked: Passage) -> tuple[Check, ...]:
    """What the panel makes of this policy's answer, as a door would see it; empty when it passes."""
    return await Panel({policy.name: policy}).ask((policy.name,), asked)


async def refusals(policy: Policy, asked: Passage) -> list[str]:
    """The message keys of the refusals; empty when the policy passes."""
    return [check.says for check in await checks(policy, asked)]


@dataclass(slots=True)
class RecordedReports:
    """A `Reports` that keeps what a driver said, for tests: lists of tuples, in order."""

    infos: list[DeviceInfo] = field(default_factory=list)
    cards: list[tuple[str, str, str]] = field(default_factory=list)
    numbers: list[tuple[str, str]] = field(default_factory=list)
    states: list[tuple[str, DoorState]] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    tampers: list[tuple[str, bool]] = field(default_factory=list)
    fires: list[tuple[str, bool]] = field(default_factory=list)
    faults: list[tuple[str, bool]] = field(default_factory=list)
    received: list[float | None] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    documents: list[tuple[str, Document]] = field(default_factory=list)
    wanted: set[str] = field(default_factory=set)
    """Readers at which a desk waits for a document; the test puts them in."""
    decisions: list[BoardDecision] = field(default_factory=list)

    def ready(self, info: DeviceInfo) -> None:
        self._keep(self.infos, info)

    def card(self, reader: str, format: str, value: str, *, received: float | None = None) -> None:
        self.received.append(received)
        self._keep(self.cards, (reader, format, value))

    def digits(self, reader: str, digits: str, *, received: float | None = None) -> None:
        self.received.append(received)
        self._keep(self.numbers, (reader, digits))

    def document(self, reader: str, document: Document) -> None:
        self._keep(self.documents, (reader, document))

    def document_wanted(self, reader: str) -> bool:
        return reader in self.wanted

    def door_state(self, lock: str, state: DoorState) -> None:
        self._keep(self.states, (lock, state))

    def exit_button(self, lock: str) -> None:
        self._keep(self.exits, lock)

    def call_button(self, lock: str) -> None:
        self._keep(self.calls, lock)

    def tamper(self, part: str, active: bool) -> None:
        self._keep(self.tampers, (part, active))

    def fault(self, part: str, active: bool) -> None:
        self._keep(self.faults, (part, active))

    def fire(self, lock: str, active: bool) -> None:
        self._keep(self.fires, (lock, active))

    async def decided(self, decision: BoardDecision) -> None:
        self._keep(self.decisions, decision)

    async def until(self, seen: Any, seconds: float = 60.0) -> None:
        """Wait until `seen()` is true; raises `TimeoutError` with what was reported so far."""
        try:
            async with asyncio.timeout(seconds):
                while not seen():
                    await self.changed.wait()
                    self.changed.clear()
        except TimeoutError:
            raise TimeoutError(f"not seen within {seconds} s; reported so far: {self!r}") from None

    def _keep(self, where: list[Any], what: Any) -> None:
        where.append(what)
        self.changed.set()


@asynccontextmanager
async def running(driver: Driver) -> AsyncIterator[asyncio.Task[None]]:
    """Run a driver as the supervisor does, and end it as the supervisor does: by cancellation."""
    task = asyncio.create_task(driver.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=5)
        if not task.done():
            raise AssertionError("the driver ignored its cancellation for 5 s")
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


__all__ = ["RecordedReports", "checks", "context", "credential", "passage", "refusals", "running"]
