"""Giving a reader its own key: the one moment in which the default key is spoken, for ten minutes at most.

The key goes over the wire under a key that everybody knows. So this is done at a desk, with the reader alone on a short
cable, by `menwei osdp pair`; the service has no way to do it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from menwei_osdp.bus import TICK, event_types
from menwei_osdp.frames import Command
from menwei_osdp.guard import Guard
from menwei_osdp.panel import KEY_BYTES, Identity, Panel, Station
from menwei_osdp.port import Channel, Wire
from menwei_osdp.trouble import PortTrouble, PortTroubleKind

LONGEST = 600.0
"""Seconds that a pairing may last."""
AGAIN = 2.0
"""Seconds between two tries: somebody is turning a switch in the reader meanwhile."""


class Waiting(StrEnum):
    """What the installer must do; the message key is `osdp.pair.<value>`."""

    SILENT = "silent"
    """Nothing answers at this address and speed."""
    REFUSED = "refused"
    """It answers and does not take the default key: it has a key already, or is not in install mode."""


@dataclass(frozen=True, slots=True)
class Paired:
    """How it ended. `key_sent`: the reader may have the key, also where `identity` is None because it was not seen to
    work with it."""

    identity: Identity | None
    key_sent: bool


@dataclass(slots=True)
class _Course:
    online: bool | None = None
    secure: bool = False
    trouble: Waiting | None = None
    retry_at: float = float("inf")
    restarting: bool = False
    log: list[Waiting] = field(default_factory=list)


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def pair(
    wire: Wire,
    address: int,
    key: bytes,
    seconds: float,
    tell: Callable[[Waiting], None],
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Paired:
    """Blocks until the reader at `address` works under `key`, at most `seconds` (and `LONGEST`). `tell` is called when
    something else keeps it from that than before. Raises `PortTrouble`."""
    guard = Guard(monotonic, lambda _address, _why: None, pairing=True)
    channel = Channel(wire, guard)
    types = event_types()
    course = _Course()

    def heard(_index: int, event: dict[str, Any]) -> None:
        if event["event"] != types["notification"] or event["type"] != types["online"] or course.restarting:
            return
        course.online = bool(event["arg0"])
        course.retry_at = monotonic() + AGAIN

    panel = Panel([Station("", address, key)], channel, heard, lambda _index, _done: None, enforce=False)
    end = monotonic() + min(seconds, LONGEST)
    told: Waiting | None = None
    sent = False
    while monotonic() < end:
        panel.refresh()
        if channel.error is not None:
            raise PortTrouble(PortTroubleKind.PORT_LOST, f"the port is lost: {channel.error}", port="")
        sent = sent or guard.of(address).asked == Command.KEYSET
        if course.online and panel.is_secure(0):
            return Paired(panel.identity(0), True)
        if course.online is not None:
            trouble = Waiting.REFUSED if guard.of(address).answered_at else Waiting.SILENT
            if trouble is not told:
                told = trouble
                tell(trouble)
        _restart(panel, course, monotonic())
        sleep(TICK)
    return Paired(None, sent)


def _restart(panel: Panel, course: _Course, now: float) -> None:
    if course.restarting:
        if panel.is_disabled(0):
            panel.enable(0)
            course.restarting = False
    elif now >= course.retry_at:
        panel.disable(0)
        course.restarting, course.retry_at, course.online = True, float("inf"), None
