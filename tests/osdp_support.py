"""A serial wire with libosdp's readers on it and the driver at work, for the tests of `menwei_osdp`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from menwei.testing import RecordedReports, context, running
from menwei.testing.proxies import SerialProxy
from menwei_osdp.config import OsdpConfig
from menwei_osdp.driver import OsdpBus
from peers.osdp_pd import Readers, reader, wiegand26

KEY_1, KEY_2, OTHER = "00112233445566778899aabbccddeeff", "10112233445566778899aabbccddeeff", "5a" * 15 + "00"
FRESH = 1.2
"""Seconds after which a reader's reads count."""
KEYPAD_TIMEOUT = 4
"""Seconds of pause that end a number."""
LOST = 90.0
"""Seconds within which a silent reader is given up; the library alone asks for nine."""


def settings(path: str, **readers: dict[str, Any]) -> OsdpConfig:
    plans = readers or {"in": {"address": 1, "key": KEY_1, "outputs": 1}}
    return OsdpConfig.model_validate({"port": path, "keypad_timeout": f"{KEYPAD_TIMEOUT}s", "readers": plans})


TWO = {"in": {"address": 1, "key": KEY_1}, "out": {"address": 2, "key": KEY_2}}


class Bench:
    """A wire with readers on it and the driver at work."""

    def __init__(self, wire: SerialProxy, readers: Readers, driver: OsdpBus, heard: RecordedReports) -> None:
        self.wire, self.readers, self.driver, self.heard = wire, readers, driver, heard

    async def fresh(self) -> None:
        await asyncio.sleep(FRESH)

    async def serves_again(self, number: int) -> None:
        """A card is read after trouble: presented again and again, as a person would, until it counts."""
        wanted = ("in", "wiegand26", f"1,{number}")
        end = time.monotonic() + LOST
        while wanted not in self.heard.cards:
            assert time.monotonic() < end, f"no card after trouble: {self.heard!r}"
            await self.readers.card(1, 26, wiegand26(1, number))
            await asyncio.sleep(FRESH + 0.2)

    async def typed(self, keys: bytes, number: str) -> None:
        """A number is typed, again and again as a person would, until it counts: of a reader whose session is lost for a
        moment, on a busy machine, what was half typed is dropped."""
        end = time.monotonic() + LOST
        while ("in", number) not in self.heard.numbers:
            assert time.monotonic() < end, f"not typed: {self.heard!r}"
            for key in keys:
                await self.readers.keys(1, bytes([key]))
            tried = time.monotonic() + KEYPAD_TIMEOUT + 2 * FRESH
            while ("in", number) not in self.heard.numbers and time.monotonic() < tried:
                await asyncio.sleep(0.02)

    def repairs(self) -> list[str]:
        return [repair.message for repair in self.driver.repairs()]

    async def until(self, seen: Any, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end, f"not within {seconds} s: {self.heard!r}"
            await asyncio.sleep(0.02)


@asynccontextmanager
async def bench(
    *readers: dict[str, Any], wire: SerialProxy | None = None, **plans: dict[str, Any]
) -> AsyncIterator[Bench]:
    async with (
        wire or SerialProxy() as wire,
        Readers(wire.device_path, list(readers) or [reader(1, KEY_1)]) as peers,
    ):
        heard = RecordedReports()
        driver = OsdpBus(context("osdp"), settings(wire.host_path, **plans), heard)
        async with running(driver) as task:
            await asyncio.wait(
                {task, asyncio.ensure_future(heard.until(lambda: heard.infos))},
                return_when=asyncio.FIRST_COMPLETED,
            )
            if task.done():
                task.result()
            yield Bench(wire, peers, driver, heard)
