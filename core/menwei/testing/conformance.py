"""What any driver must survive. A driver's own test module says how its device is played, and inherits the cases:

    from menwei.testing.conformance import DriverConformance

    class TestMyLock(DriverConformance):
        driver = MyDriver

        def make_peer(self, folder: Path) -> Peer:
            return MyPeer(folder)

Run it with pytest and pytest-asyncio, as many or as few cases at a time as you like. A case that the peer `lacks` the
means for is skipped with its reason; nothing else is skipped. The driver runs under the program's own supervisor.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import ClassVar

import pytest

from menwei.context import AuthFailed, NotReady
from menwei.model import DoorState
from menwei.supervisor import DeviceState
from menwei.testing.cases import FRESH, Cases, inputs_told, need, within
from menwei.testing.cases_boards import BoardCases
from menwei.testing.cases_commands import CommandCases
from menwei.testing.cases_reads import FORBIDDEN, ReadCases
from menwei.testing.driven import Driven
from menwei.testing.peer import Ability, Input, Peer


class PresenceCases(Cases):
    """There and away, on our side and the device's."""

    async def test_a_probe_tells_who_is_there_and_leaves_it_free(self, peer: Peer, driven: Driven) -> None:
        probed = await within(self.bound, self.driver.probe(peer.config))
        async with driven:
            info = await driven.ready()
        assert (probed.id, probed.locks, probed.readers) == (info.id, info.locks, info.readers)
        assert probed.id, "a device has an id that stays"

    async def test_a_device_that_is_absent_at_start_is_found_when_it_comes(
        self, peer: Peer, driven: Driven
    ) -> None:
        need(peer, Ability.ABSENCE)
        await peer.stop()
        with pytest.raises(NotReady):
            await within(peer.notices + self.hang, self.driver.probe(peer.config))
        async with driven:
            await driven.until(lambda: bool(driven.endings), peer.notices + self.bound)
            assert driven.heard.infos == []
            await peer.start()
            await driven.ready()
            await self._serves(peer, driven, 1)
        assert driven.faults() == []

    async def test_a_device_that_is_lost_and_back_serves_again(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.ABSENCE)
        async with driven:
            await driven.ready()
            await self._serves(peer, driven, 1)
            await peer.stop()
            assert await driven.lost(), "the installer is told why"
            await peer.start()
            await driven.ready()
            await self._serves(peer, driven, 2)
        assert driven.faults() == []

    async def test_a_silent_device_is_noticed_and_served_again(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.SILENCE)
        async with driven:
            await driven.ready()
            await peer.silent(True)
            await driven.lost()
            await peer.silent(False)
            await driven.ready()
            await self._serves(peer, driven, 1)
        assert driven.faults() == []

    async def test_its_end_is_quick_and_leaves_nothing_behind(self, peer: Peer, driven: Driven) -> None:
        before = asyncio.all_tasks()
        async with driven:
            await driven.ready()
        left = asyncio.all_tasks() - before
        if left:
            await asyncio.wait(left, timeout=self.hang)
        assert [task for task in left if not task.done()] == []
        assert driven.faults() == []

    async def test_a_restart_of_ours_neither_loses_nor_doubles(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        need(peer, Ability.READER)
        async with driven:
            await driven.ready()
            await self._reads(peer, driven, 1)
        async with (later := self.again(peer, tmp_path)):
            await later.ready()
            await self._reads(peer, later, 2)
            await self._reads(peer, later, 3)
        assert [driven.times(1), later.times(1), later.times(2), later.times(3)] == [1, 0, 1, 1]


class InputCases(Cases):
    """The door contact and the inputs."""

    async def test_the_contact_is_told_at_connection_and_followed(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.CONTACT)
        await peer.contact(DoorState.OPEN)
        async with driven:
            await driven.ready()
            for state in (DoorState.OPEN, DoorState.CLOSED, DoorState.OPEN, DoorState.CLOSED):
                await peer.contact(state)
                await driven.until(lambda state=state: driven.door() is state)  # type: ignore[misc]

    async def test_what_the_door_did_while_nobody_served_is_told_at_connection(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        need(peer, Ability.CONTACT)
        await peer.contact(DoorState.CLOSED)
        async with driven:
            await driven.ready()
            await driven.until(lambda: driven.door() is DoorState.CLOSED)
        await peer.contact(DoorState.OPEN)
        async with (later := self.again(peer, tmp_path)):
            await later.ready()
            await later.until(lambda: later.door() is DoorState.OPEN)

    @pytest.mark.parametrize("which", list(Input))
    async def test_an_input_that_ended_while_nobody_served_is_told_at_connection(
        self, peer: Peer, driven: Driven, tmp_path: Path, which: Input
    ) -> None:
        need(peer, Ability.INPUTS)
        if which not in peer.inputs:
            pytest.skip(f"the device has no {which} input")
        wanted = (peer.lock if which is Input.FIRE else "", True)
        async with driven:
            await driven.ready()
            await peer.turn(which, True)
            await driven.until(lambda: wanted in inputs_told(driven, which))
        await peer.turn(which, False)
        async with (later := self.again(peer, tmp_path)):
            await later.ready()
            await later.until(lambda: (wanted[0], False) in inputs_told(later, which))


class NonsenseCases(Cases):
    """Garbage, wrong secrets, wrong clocks."""

    @pytest.mark.parametrize("seed", [1, 2, 3])
    async def test_garbage_is_no_fault_and_no_report(self, peer: Peer, driven: Driven, seed: int) -> None:
        need(peer, Ability.GARBAGE)
        dice = random.Random(seed)  # noqa: S311
        async with driven:
            await driven.ready()
            for size in (1, 2, 63, 64, 65, 500, 1400):
                await peer.garbage(dice.randbytes(size))
            await peer.garbage(bytes(64))
            await peer.garbage(b"\xff" * 64)
            await self._serves(peer, driven, 1)
            assert driven.reads == ([] if Ability.READER in peer.lacks else [driven.reads[0]])
        assert driven.faults() == []

    async def test_a_device_that_babbles_is_no_fault_and_comes_back(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.BABBLE)
        await peer.babble(True)
        async with driven:
            await driven.until(
                lambda: bool(driven.endings) or driven.state is DeviceState.READY, peer.notices + self.bound
            )
            await peer.babble(False)
            await driven.ready(peer.notices + peer.connects + self.bound)
            await self._serves(peer, driven, 1)
        assert driven.faults() == []

    async def test_a_wrong_secret_is_told_apart_and_never_ready(self, peer: Peer, tmp_path: Path) -> None:
        need(peer, Ability.SECRET)
        with pytest.raises(AuthFailed):
            await within(self.bound, self.driver.probe(peer.wrong_secret()))
        async with Driven(self.driver, peer, tmp_path, config=peer.wrong_secret()) as driven:
            await driven.until(lambda: bool(driven.endings))
            assert isinstance(driven.endings[0], AuthFailed)
            assert driven.heard.infos == []

    @pytest.mark.parametrize(
        "off", [-10 * 365 * 86400.0, -3600.0, 86400.0], ids=["ten years slow", "an hour slow", "a day fast"]
    )
    async def test_a_wrong_clock_makes_no_read_old_and_no_command_late(
        self, peer: Peer, driven: Driven, off: float
    ) -> None:
        need(peer, Ability.CLOCK)
        async with driven:
            await driven.ready()
            await peer.wrong_clock(off)
            await self._serves(peer, driven, 1)
            if Ability.READER not in peer.lacks:
                (received,) = driven.received(1)
                assert abs(received - time.monotonic()) < FRESH
        assert driven.faults() == []


class DriverConformance(PresenceCases, ReadCases, CommandCases, InputCases, NonsenseCases, BoardCases):
    """All cases. `driver` and `make_peer` are the subclass's; `day` is how many passages its day of traffic has."""

    day: ClassVar[int] = 200

    async def test_a_day_of_traffic_is_reported_completely_and_opens_as_often_as_told(
        self, peer: Peer, driven: Driven
    ) -> None:
        """Quiet hours and rushes: one to five reads at a time, an opening for most, and the door's way each time."""
        dice = random.Random(20261001)  # noqa: S311
        opened, number = 0, 0
        async with driven:
            await driven.ready()
            while number < self.day:
                rush = range(number + 1, number + 1 + dice.choice((1, 1, 1, 2, 5)))
                number = rush[-1]
                if Ability.READER not in peer.lacks:
                    for card in rush:
                        await peer.present(card)
                    await driven.read(number)
                if Ability.LOCK not in peer.lacks and dice.random() < 0.8:
                    await driven.driver.access(peer.lock, peer.seconds, time.monotonic() + self.bound)
                    opened += 1
                if Ability.CONTACT not in peer.lacks:
                    await peer.contact(DoorState.OPEN)
                    await driven.until(lambda: driven.door() is DoorState.OPEN)
                    await peer.contact(DoorState.CLOSED)
                    await driven.until(lambda: driven.door() is DoorState.CLOSED)
            if Ability.LOCK not in peer.lacks:
                releases = await self._after(peer, time.monotonic(), opened)
                assert {(release.lock, release.seconds) for release in releases} == {
                    (peer.lock, peer.seconds)
                }
        if Ability.READER not in peer.lacks:
            assert [read for read, _ in driven.reads] == [
                (peer.reader, *peer.card(n)) for n in range(1, number + 1)
            ]
        assert driven.endings == []


__all__ = ["FORBIDDEN", "DriverConformance", "need"]
