"""The suite that any driver must survive, with libosdp's reader on a serial proxy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from menwei.testing.conformance import DriverConformance
from menwei.testing.peer import Ability, Peer, Release
from menwei.testing.proxies import Faults
from menwei_osdp.driver import OsdpBus
from osdp_support import KEY_1, OTHER, settings
from peers.osdp_pd import Readers, reader, wiegand26
from peers.osdp_wire import Tapped

pytest.importorskip("osdp_sys", reason="libosdp is not installed: pip install 'menwei[osdp]'")
pytest.importorskip("serial", reason="pyserial is not installed: pip install 'menwei[osdp]'")
pytestmark = pytest.mark.e2e

TIMED_ON = 5
CALM = 4.0
"""Seconds after a disturbance until a person tries the reader again: the library asks again within one, and what is
read right after a silence counts for nothing."""


class OsdpPeer(Peer):
    """One wire with one reader of libosdp, which has a relay."""

    reader: ClassVar[str] = "in"
    lock: ClassVar[str] = "in-out0"
    notices: ClassVar[float] = 25.0
    lacks: ClassVar[Mapping[Ability, str]] = {
        Ability.SLOWNESS: "OSDP gives a reader 200 ms to answer; one that takes longer is lost",
        Ability.REORDERING: "each answer follows its question; none can overtake another",
        Ability.LATE_READS: "a reader does not tell when it read; what it may have kept is dropped",
        Ability.LATE_COMMANDS: "a reader cannot tell how old a command is; none leaves us after its deadline",
        Ability.CONTACT: "readers have no door contact here",
        Ability.INPUTS: "a case contact belongs to its reader, not to the device",
        Ability.CLOCK: "readers have no clock",
        Ability.ATTRIBUTES: "a read is bits",
    }

    def __init__(self) -> None:
        self._wire = Tapped()
        self._readers: Readers | None = None
        self._releases: list[Release] = []
        self._seen = 0
        self._calm_at = 0.0

    @property
    def config(self) -> Any:
        return settings(self._wire.host_path)

    def wrong_secret(self) -> Any:
        return settings(self._wire.host_path, **{"in": {"address": 1, "key": OTHER, "outputs": 1}})

    async def start(self) -> None:
        if not self._wire.host_path:
            await self._wire.open()
        self._readers, self._seen = Readers(self._wire.device_path, [reader(1, KEY_1)]), 0
        await self._readers.__aenter__()
        self._calm_at = 0.0

    async def stop(self) -> None:
        if self._readers is not None:
            await self.releases()
            await self._readers.__aexit__()
            self._readers = None

    async def close(self) -> None:
        await self._wire.close()

    def card(self, number: int) -> tuple[str, str]:
        return "wiegand26", f"{100 + number // 1000},{number}"

    async def present(self, number: int) -> None:
        await asyncio.sleep(max(0.0, self._calm_at - time.monotonic()))
        await self._there().card(1, 26, wiegand26(100 + number // 1000, number))

    async def releases(self) -> list[Release]:
        if self._readers is not None:
            told = await self._readers.commands(1)
            self._releases += [
                Release(self.lock, one["timer_count"] / 10, one["at"])
                for one in told[self._seen :]
                if one["kind"] == "output" and one["control_code"] == TIMED_ON
            ]
            self._seen = len(told)
        return list(self._releases)

    async def unlocked(self) -> bool:
        told = [one for one in await self._there().commands(1) if one["kind"] == "output"]
        return bool(told) and told[-1]["control_code"] == TIMED_ON

    async def silent(self, active: bool) -> None:
        await self._there().silent(1, active)
        self._disturbed()

    async def garbage(self, data: bytes) -> None:
        self._wire.inject(data)
        self._disturbed()

    async def babble(self, active: bool) -> None:
        self._wire.to_host.faults = Faults(garble=1.0 if active else 0.0)
        self._disturbed()

    async def duplicate(self, active: bool) -> None:
        self._wire.to_host.faults = Faults(duplicate=1.0 if active else 0.0)

    def _disturbed(self) -> None:
        self._calm_at = time.monotonic() + CALM

    def _there(self) -> Readers:
        assert self._readers is not None
        return self._readers


class TestOsdp(DriverConformance):
    driver = OsdpBus
    day = 40

    def make_peer(self, folder: Path) -> Peer:
        return OsdpPeer()
