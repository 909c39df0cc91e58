"""The PC/SC driver against the conformance suite: Debian's pcscd with virtual cards (`peers.vpcd`)."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from menwei.testing.conformance import DriverConformance
from menwei.testing.peer import Ability, Peer
from menwei_pcsc.driver import PcscReader, ReaderConfig
from menwei_pcsc.reader_thread import ReaderThread
from peers.vpcd import CardTable, VirtualCard, card_folder, missing, uid_card

pytest.importorskip("smartcard.scard", reason="pyscard is not installed: pip install 'menwei[pcsc]'")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(missing()), reason=f"apt-get install {' '.join(missing())}"),
]

READER = "Virtual PCD ?? 00"
LYING = 2.0
"""Seconds that a card lies there when nobody asks it; pcscd sees it after 0.4."""


class CardTablePeer(Peer):
    """A reader of a pcscd in namespaces of its own."""

    lacks: ClassVar[Mapping[Ability, str]] = {
        Ability.BABBLE: "pcscd speaks to the driver, not the reader; what cards say is the case of garbage",
        Ability.REORDERING: "one thread reads one card after the other",
        Ability.LOCK: "a card reader has no lock",
        Ability.LATE_COMMANDS: "a card reader has no lock",
        Ability.MODES: "a card reader has no lock",
        Ability.CONTACT: "a card reader has no door contact",
        Ability.INPUTS: "a card reader has no inputs",
        Ability.SECRET: "pcscd knows users by their rights, not by a secret",
        Ability.CLOCK: "neither pcscd nor the reader tells a time",
        Ability.ATTRIBUTES: "an answer is a number and a status word, without room for more",
    }

    def __init__(self, table: CardTable) -> None:
        self._table = table
        self._seconds = 0.0
        self._twice = False

    @property
    def config(self) -> ReaderConfig:
        return ReaderConfig(reader=READER)

    async def start(self) -> None:
        await asyncio.to_thread(self._table.start)

    async def stop(self) -> None:
        await asyncio.to_thread(self._table.remove)
        await asyncio.to_thread(self._table.kill)

    async def close(self) -> None:
        end = time.monotonic() + 30
        while ReaderThread.left_behind(READER):
            assert time.monotonic() < end, "a thread of the driver never came back"
            await asyncio.sleep(0.05)

    def card(self, number: int) -> tuple[str, str]:
        return "uid", f"04A2{number:04X}"

    async def present(self, number: int) -> None:
        card = uid_card(self.card(number)[1])
        await self._lay(VirtualCard(card.atr, card.answers, card.other, self._seconds))
        if self._twice:
            await self._lay(card)

    async def _lay(self, card: VirtualCard) -> None:
        await asyncio.to_thread(self._table.asked)
        await asyncio.to_thread(self._table.insert, card)
        end = time.monotonic() + LYING
        while not await asyncio.to_thread(self._table.asked) and time.monotonic() < end:
            await asyncio.sleep(0.05)
        await asyncio.sleep(card.seconds + 0.1)
        await asyncio.to_thread(self._table.remove)

    async def silent(self, active: bool) -> None:
        await asyncio.to_thread(self._table.signal, signal.SIGSTOP if active else signal.SIGCONT)

    async def slow(self, seconds: float) -> None:
        self._seconds = seconds

    async def late_reads(self, seconds: float) -> None:
        self._seconds = seconds

    async def duplicate(self, active: bool) -> None:
        self._twice = active

    async def garbage(self, data: bytes) -> None:
        """From a card: what it answers is all of the reader's side that anybody can bring along."""
        await self._lay(VirtualCard(other=data[:250].hex().upper()))


@pytest.fixture(scope="module")
def table() -> Iterator[CardTable]:
    folder = card_folder()
    before = os.environ.get("PCSCLITE_CSOCK_NAME")
    table = CardTable(folder)
    table.open()
    os.environ["PCSCLITE_CSOCK_NAME"] = str(table.socket)
    yield table
    os.environ.pop("PCSCLITE_CSOCK_NAME")
    if before is not None:
        os.environ["PCSCLITE_CSOCK_NAME"] = before
    table.close()
    shutil.rmtree(folder)


class TestPcsc(DriverConformance):
    driver = PcscReader
    day = 12
    table: CardTable

    @pytest.fixture(autouse=True)
    def laid(self, table: CardTable) -> None:
        self.table = table

    def make_peer(self, folder: Path) -> Peer:
        return CardTablePeer(self.table)
