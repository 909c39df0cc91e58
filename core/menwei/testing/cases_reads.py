"""Cases of the conformance suite: what is read at the door is reported once, and as of the moment it was read."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from menwei.testing.cases import CLOCKS, FRESH, Cases, need
from menwei.testing.driven import Driven
from menwei.testing.logged import logged
from menwei.testing.peer import Ability, Peer

MARK = "stripped-7f3a"
FORBIDDEN = {
    "age": MARK, "gender": MARK, "sex": MARK, "emotion": MARK, "glasses": MARK, "beard": MARK, "ethnicity": MARK,
    "faceExpression": MARK, "name": MARK, "idNumber": MARK, "blacklist": MARK,
}  # fmt: skip
"""Attributes that devices are known to send and that must end at the driver, wherever their message has room."""


class ReadCases(Cases):
    async def test_a_read_is_reported_once_and_as_of_now(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.READER)
        async with driven:
            await driven.ready()
            for number in (1, 2, 3):
                before = time.monotonic()
                await self._reads(peer, driven, number)
                assert driven.times(number) == 1
                (received,) = driven.received(number)
                assert before - FRESH / 2 <= received <= time.monotonic() + CLOCKS
            assert [driven.times(number) for number in (1, 2, 3)] == [1, 1, 1]
            assert len(driven.reads) == 3

    async def test_what_was_read_while_nobody_served_is_never_fresh(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        need(peer, Ability.READER)
        async with driven:
            await driven.ready()
            await self._reads(peer, driven, 1)
        await peer.present(2)
        presented = time.monotonic()
        await asyncio.sleep(peer.precision)
        async with (later := self.again(peer, tmp_path)):
            await later.ready()
            await self._reads(peer, later, 3)
            await peer.present(4)
            await later.read(4)
        assert later.times(2) == 1 if peer.logs_reads else later.times(2) <= 1
        for received in later.received(2):
            assert received <= presented + peer.precision, "an old read was reported as a new one"

    async def test_a_late_read_tells_its_true_moment(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.READER, Ability.LATE_READS)
        async with driven:
            await driven.ready()
            await self._reads(peer, driven, 1)
            late = 1.0 + peer.precision
            await peer.late_reads(late)
            presented = time.monotonic()
            await peer.present(2)
            await driven.read(2)
            (received,) = driven.received(2)
            assert received <= presented + peer.precision
            await peer.late_reads(0)

    async def test_doubled_messages_are_reported_once(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.READER, Ability.DUPLICATES)
        async with driven:
            await driven.ready()
            await peer.duplicate(True)
            for number in (1, 2, 3):
                await self._reads(peer, driven, number)
            await peer.duplicate(False)
            await self._reads(peer, driven, 4)
            assert [driven.times(number) for number in (1, 2, 3, 4)] == [1, 1, 1, 1]

    async def test_messages_out_of_order_are_each_reported_once(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.READER, Ability.REORDERING)
        async with driven:
            await driven.ready()
            await peer.reorder(True)
            for number in (1, 2, 3, 4):
                await peer.present(number)
            await driven.until(lambda: all(driven.times(number) for number in (1, 2, 3, 4)))
            await peer.reorder(False)
            await self._reads(peer, driven, 5)
            assert [driven.times(number) for number in (1, 2, 3, 4, 5)] == [1, 1, 1, 1, 1]
        assert driven.faults() == []

    async def test_forbidden_attributes_end_at_the_driver(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        need(peer, Ability.READER, Ability.ATTRIBUTES)
        with logged() as lines:
            async with driven:
                await driven.ready()
                await peer.present_with(1, FORBIDDEN)
                await driven.read(1)
        assert MARK not in repr(driven.heard)
        assert [line for line in lines if MARK in line] == []
        assert [path for path in (tmp_path / "memory").rglob("*") if MARK.encode() in path.read_bytes()] == []

    async def test_no_card_number_is_logged_or_remembered(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        need(peer, Ability.READER)
        with logged() as lines:
            async with driven:
                await driven.ready()
                await self._reads(peer, driven, 7777)
        _, value = peer.card(7777)
        assert [line for line in lines if value in line] == []
        assert [
            path for path in (tmp_path / "memory").rglob("*") if value.encode() in path.read_bytes()
        ] == []
