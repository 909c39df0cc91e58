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
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest
import pytest_asyncio

from menwei.model import DoorMode, DoorState, Feedback, FeedbackKind
from menwei.plugin import AuthFailed, Driver, NotReady
from menwei.supervisor import DeviceState
from menwei.testing.driven import BOUND, Driven
from menwei.testing.logged import logged
from menwei.testing.peer import Ability, Input, Peer, Release

T = TypeVar("T")

HANG = 5.0
"""Seconds after its deadline at which a command that has not come back hangs; a busy machine needs less."""
CLOCKS = 0.25
"""Seconds by which the device's account of a moment may differ from ours on one machine."""
FRESH = 5.0
"""Seconds: the core refuses a read that is older."""
MARK = "stripped-7f3a"
FORBIDDEN = {
    "age": MARK, "gender": MARK, "sex": MARK, "emotion": MARK, "glasses": MARK, "beard": MARK, "ethnicity": MARK,
    "faceExpression": MARK, "name": MARK, "idNumber": MARK, "blacklist": MARK,
}  # fmt: skip
"""Attributes that devices are known to send and that must end at the driver, wherever their message has room."""


@pytest.mark.asyncio
class DriverConformance:
    """The cases. `driver` and `make_peer` are the subclass's; `day` is how many passages its day of traffic has."""

    driver: ClassVar[type[Driver]]
    day: ClassVar[int] = 200

    def make_peer(self, folder: Path) -> Peer:
        """A new device that has never been started; `folder` is empty and its own."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def peer(self, tmp_path: Path) -> AsyncIterator[Peer]:
        """The device, with power. Its last power-off and `close` are part of the case."""
        folder = tmp_path / "device"
        folder.mkdir()
        peer = self.make_peer(folder)
        await peer.start()
        try:
            yield peer
        finally:
            await peer.stop()
            await peer.close()

    @pytest.fixture
    def driven(self, peer: Peer, tmp_path: Path) -> Driven:
        """The program's side, not started. One more `self.again(…)` on the same folder is its restart."""
        return Driven(self.driver, peer, tmp_path)

    def again(self, peer: Peer, tmp_path: Path) -> Driven:
        return Driven(self.driver, peer, tmp_path)

    # ------------------------------------------------------------------------------------------------ there and away

    async def test_a_probe_tells_who_is_there_and_leaves_it_free(self, peer: Peer, driven: Driven) -> None:
        probed = await _within(BOUND, self.driver.probe(peer.config))
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
            await _within(peer.notices + HANG, self.driver.probe(peer.config))
        async with driven:
            await driven.until(lambda: bool(driven.endings), peer.notices + BOUND)
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
            await asyncio.wait(left, timeout=HANG)
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

    # --------------------------------------------------------------------------------------------------------- reads

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

    # ------------------------------------------------------------------------------------------------------ commands

    async def test_access_releases_the_lock_once_for_the_time_asked(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.LOCK)
        async with driven:
            await driven.ready()
            await self._access(peer, driven)
            (release,) = await self._after(peer, time.monotonic(), 1)
            assert (release.lock, release.seconds) == (peer.lock, peer.seconds)

    async def test_access_after_its_deadline_is_refused_and_opens_nothing(
        self, peer: Peer, driven: Driven
    ) -> None:
        need(peer, Ability.LOCK)
        async with driven:
            await driven.ready()
            deadline = time.monotonic() - 0.01
            await self._fails(driven.driver, peer, deadline)
            assert await self._after(peer, deadline, 0) == []

    async def test_access_at_a_lock_it_does_not_have_is_refused(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.LOCK)
        async with driven:
            await driven.ready()
            deadline = time.monotonic() + 1.0
            with pytest.raises(Exception):  # noqa: B017 - whatever the driver calls it
                await _within(1.0 + HANG, driven.driver.access("no-such-lock", peer.seconds, deadline))
            assert await self._after(peer, deadline, 0) == []
            await self._serves(peer, driven, 1)

    async def test_access_to_a_silent_device_ends_at_its_deadline_and_is_never_made_up_for(
        self, peer: Peer, driven: Driven
    ) -> None:
        need(peer, Ability.LOCK, Ability.SILENCE)
        async with driven:
            await driven.ready()
            driver = driven.driver
            await peer.silent(True)
            deadline = time.monotonic() + 1.0
            await self._fails(driver, peer, deadline)
            await asyncio.sleep(max(0.0, deadline - time.monotonic()) + CLOCKS)
            await peer.silent(False)
            await driven.ready()
            assert await self._after(peer, deadline, 0) == []
            await self._serves(peer, driven, 1)

    async def test_access_to_a_lost_device_fails_and_is_never_made_up_for(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        need(peer, Ability.LOCK, Ability.ABSENCE)
        async with driven:
            await driven.ready()
            driver = driven.driver
            await peer.stop()
            deadline = time.monotonic() + 1.0
            await self._fails(driver, peer, deadline)
            await asyncio.sleep(max(0.0, deadline - time.monotonic()) + CLOCKS)
            await peer.start()
            await driven.ready(peer.notices + peer.connects + BOUND)
            assert await self._after(peer, deadline, 0) == []
        async with (later := self.again(peer, tmp_path)):
            await later.ready()
            await self._serves(peer, later, 1)

    async def test_access_that_is_held_up_on_its_way_opens_nothing_late(
        self, peer: Peer, driven: Driven
    ) -> None:
        need(peer, Ability.LOCK, Ability.LATE_COMMANDS)
        async with driven:
            await driven.ready()
            await peer.hold_commands(1.5)
            deadline = time.monotonic() + 0.5
            await self._fails(driven.driver, peer, deadline)
            await asyncio.sleep(1.5)
            await peer.hold_commands(0)
            assert await self._after(peer, deadline, 0) == []

    async def test_a_slow_device_still_serves_and_opens_once(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.SLOWNESS)
        async with driven:
            await driven.ready()
            await peer.slow(0.4)
            await self._serves(peer, driven, 1)
            await peer.slow(0)
            await self._serves(peer, driven, 2)
        assert driven.faults() == []

    async def test_a_mode_holds_until_told_otherwise(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.LOCK, Ability.MODES)
        async with driven:
            await driven.ready()
            for mode, open_ in (
                (DoorMode.UNLOCKED, True), (DoorMode.LOCKED, False), (DoorMode.LOCKED_OPEN, True), (DoorMode.LOCKED_DOWN, False)
            ):  # fmt: skip
                await driven.driver.set_mode(peer.lock, mode, time.monotonic() + BOUND)
                assert await peer.unlocked() is open_, mode
            await driven.driver.set_mode(peer.lock, DoorMode.LOCKED, time.monotonic() + BOUND)
            await self._access(peer, driven)

    async def test_a_mode_after_its_deadline_changes_nothing(self, peer: Peer, driven: Driven) -> None:
        need(peer, Ability.LOCK, Ability.MODES)
        async with driven:
            await driven.ready()
            with pytest.raises((NotReady, TimeoutError)):
                await _within(
                    HANG, driven.driver.set_mode(peer.lock, DoorMode.UNLOCKED, time.monotonic() - 0.01)
                )
            await asyncio.sleep(peer.late)
            assert not await peer.unlocked()

    async def test_feedback_is_shown_or_passed_over(self, peer: Peer, driven: Driven) -> None:
        async with driven:
            await driven.ready()
            for kind in FeedbackKind:
                with contextlib.suppress(NotReady):
                    await _within(HANG, driven.driver.feedback(peer.reader, Feedback(kind, "请进 / come in")))
            await self._serves(peer, driven, 1)

    # -------------------------------------------------------------------------------------------- contact and inputs

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
            await driven.until(lambda: wanted in _inputs(driven, which))
        await peer.turn(which, False)
        async with (later := self.again(peer, tmp_path)):
            await later.ready()
            await later.until(lambda: (wanted[0], False) in _inputs(later, which))

    # ------------------------------------------------------------------------------------- nonsense, secrets, clocks

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
                lambda: bool(driven.endings) or driven.state is DeviceState.READY, peer.notices + BOUND
            )
            await peer.babble(False)
            await driven.ready(peer.notices + peer.connects + BOUND)
            await self._serves(peer, driven, 1)
        assert driven.faults() == []

    async def test_a_wrong_secret_is_told_apart_and_never_ready(self, peer: Peer, tmp_path: Path) -> None:
        need(peer, Ability.SECRET)
        with pytest.raises(AuthFailed):
            await _within(BOUND, self.driver.probe(peer.wrong_secret()))
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

    # ----------------------------------------------------------------------------------------------- a day of traffic

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
                    await driven.driver.access(peer.lock, peer.seconds, time.monotonic() + BOUND)
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

    # --------------------------------------------------------------------------------------------------- what cases share

    async def _serves(self, peer: Peer, driven: Driven, number: int) -> None:
        """It does its work, whatever that is: the `number`-th card is reported, the lock is released once."""
        if Ability.READER not in peer.lacks:
            await self._reads(peer, driven, number)
        if Ability.LOCK not in peer.lacks:
            await self._access(peer, driven)

    async def _reads(self, peer: Peer, driven: Driven, number: int) -> None:
        before = driven.times(number)
        await peer.present(number)
        await driven.until(lambda: driven.times(number) > before)

    async def _access(self, peer: Peer, driven: Driven) -> None:
        """Released once more, and not after the deadline. A device that was just lost and found is waited for."""
        before = len(await peer.releases())
        await driven.ready()
        deadline = time.monotonic() + BOUND
        await _within(BOUND + HANG, driven.driver.access(peer.lock, peer.seconds, deadline))
        releases = await peer.releases()
        assert len(releases) == before + 1, releases[before:]
        assert releases[-1].at <= deadline + CLOCKS

    async def _fails(self, driver: Driver, peer: Peer, deadline: float) -> None:
        """`access` says so by its deadline, with one of its two words."""
        left = max(0.0, deadline - time.monotonic())
        with pytest.raises((NotReady, TimeoutError)):
            await _within(left + HANG, driver.access(peer.lock, peer.seconds, deadline))

    async def _after(self, peer: Peer, deadline: float, count: int) -> list[Release]:
        """All releases, some time after `deadline`; there are `count` and none is later than it."""
        await asyncio.sleep(max(0.0, deadline - time.monotonic()) + peer.late)
        releases = await peer.releases()
        assert len(releases) == count, releases
        assert [release for release in releases if release.at > deadline + CLOCKS] == []
        return releases


def need(peer: Peer, *abilities: Ability) -> None:
    """Skip the case, with the peer's reason, unless it has all of these."""
    for ability in abilities:
        if ability in peer.lacks:
            pytest.skip(f"{ability.name}: {peer.lacks[ability]}")


def _inputs(driven: Driven, which: Input) -> list[tuple[str, bool]]:
    return driven.heard.fires if which is Input.FIRE else driven.heard.tampers


async def _within(seconds: float, work: Awaitable[T]) -> T:
    """`work`, failing when it hangs, whatever it does with its cancellation."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        task.cancel()
        pytest.fail(f"it hangs: nothing came back within {seconds:.1f} s")
    return task.result()


__all__ = ["FORBIDDEN", "DriverConformance", "need"]
