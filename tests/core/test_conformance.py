"""The conformance suite itself: a faithful driver passes, each faulty one fails at the case that is meant for it.

The device is made up (`peers.tiny_lock`); the mutants are drivers with one fault each.
"""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any, ClassVar

import pytest
import structlog

from menwei.context import NotReady
from menwei.model import DoorMode, DoorState
from menwei.plugin import Driver
from menwei.testing.conformance import DriverConformance
from menwei.testing.peer import Ability, Input, Peer
from peers.tiny_lock import TinyDriver, TinyPeer, line

pytestmark = pytest.mark.e2e


class TestFaithful(DriverConformance):
    driver = TinyDriver
    day = 60

    def make_peer(self, folder: Path) -> Peer:
        return TinyPeer(folder)


# ----------------------------------------------------------------------------------------------------------- mutants


class ActsLate(TinyDriver):
    """Goes on trying in the background after it said that it gave up."""

    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        try:
            await super().access(lock, seconds, deadline)
        except (NotReady, TimeoutError):
            self.later = asyncio.create_task(self.again(lock, seconds))
            raise

    async def again(self, lock: str, seconds: float) -> None:
        for _ in range(100):
            await asyncio.sleep(0.05)
            try:
                await super().access(lock, seconds, self.context.clock.monotonic() + 5)
            except (NotReady, TimeoutError):
                continue
            return


retained: list[dict[str, Any]] = []


class KeepsCommands(TinyDriver):
    """Sends what could not be sent at the next connection."""

    async def command(self, order: dict[str, Any], deadline: float) -> None:
        try:
            await super().command(order, deadline)
        except (NotReady, TimeoutError):
            retained.append(order)
            raise

    async def run(self) -> None:
        self.flush = asyncio.create_task(self.send())
        await super().run()

    async def send(self) -> None:
        while self.writer is None:
            await asyncio.sleep(0.01)
        while retained:
            by = self.context.clock.monotonic() + 5
            self.writer.write(line({"id": 1, "by": by, **retained.pop()}))


class IgnoresDeadline(TinyDriver):
    async def command(self, order: dict[str, Any], deadline: float) -> None:
        await super().command(order, max(deadline, self.context.clock.monotonic() + 2))


class Hangs(TinyDriver):
    async def command(self, order: dict[str, Any], deadline: float) -> None:
        while True:
            try:
                return await super().command(order, deadline + 1000)
            except (NotReady, TimeoutError):
                await asyncio.sleep(0.05)


class OpensTwice(TinyDriver):
    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        await super().access(lock, seconds, deadline)
        await super().access(lock, seconds, deadline)


class OpensAnything(TinyDriver):
    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        await super().access("1", seconds, deadline)


class OpensForever(TinyDriver):
    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        await super().access(lock, 3600.0, deadline)


class ReportsTwice(TinyDriver):
    def heard(self, message: dict[str, Any]) -> None:
        super().heard(message)
        if message.get("t") == "card":
            self.reports.card("in", "decimal", message["value"])


class TrustsTheWire(TinyDriver):
    """Reports every copy of a message."""

    def heard(self, message: dict[str, Any]) -> None:
        self.seen.clear()
        super().heard(message)


class DropsWhatIsOutOfOrder(TinyDriver):
    def heard(self, message: dict[str, Any]) -> None:
        if message.get("n", self.last + 1) > self.last:
            self.last = message.get("n", self.last)
            super().heard(message)

    last = 0


class CallsOldReadsNew(TinyDriver):
    def heard(self, message: dict[str, Any]) -> None:
        super().heard({**message, "ago": 0.0} if "ago" in message else message)


class DiesOfGarbage(TinyDriver):
    def heard(self, message: dict[str, Any]) -> None:
        if message == {"t": "garbage"}:
            raise ValueError("not a message of mine")
        super().heard(message)


class NeverNotices(TinyDriver):
    """Serves a dead connection for ever."""

    async def run(self) -> None:
        try:
            await super().run()
        except NotReady:
            if not self.reports_ready():
                raise
            await asyncio.Event().wait()

    def reports_ready(self) -> bool:
        return hasattr(self, "done")


class GivesUp(TinyDriver):
    """Takes an absent device for a fault."""

    async def run(self) -> None:
        try:
            await super().run()
        except NotReady as error:
            raise OSError("connection refused") from error


class MistakesSecrets(TinyDriver):
    async def run(self) -> None:
        try:
            await super().run()
        except Exception as error:
            raise NotReady("something is wrong") from error


class LeavesTasks(TinyDriver):
    async def run(self) -> None:
        self.left = asyncio.create_task(asyncio.Event().wait())
        await super().run()


class LogsCards(TinyDriver):
    def heard(self, message: dict[str, Any]) -> None:
        structlog.get_logger().info("heard", message=message)
        super().heard(message)


class ForgetsTheDoor(TinyDriver):
    """Tells changes only."""

    async def run(self) -> None:
        reports = self.reports
        state = reports.door_state
        told: list[int] = []

        def door_state(lock: str, now: DoorState) -> None:
            if told:
                state(lock, now)
            told.append(1)

        reports.door_state = door_state  # type: ignore[method-assign]
        await super().run()


class ForgetsFire(TinyDriver):
    """Tells a fire at connection, but not that there is none any more."""

    async def run(self) -> None:
        fire = self.reports.fire
        self.reports.fire = lambda lock, on: fire(lock, on) if on else None  # type: ignore[method-assign]
        await super().run()


class HoldsTheWrongWay(TinyDriver):
    async def set_mode(self, lock: str, mode: DoorMode, deadline: float) -> None:
        await super().set_mode(lock, DoorMode.UNLOCKED, deadline)


MUTANTS: dict[type[Driver], str] = {
    ActsLate: "test_access_to_a_silent_device_ends_at_its_deadline_and_is_never_made_up_for",
    KeepsCommands: "test_access_to_a_lost_device_fails_and_is_never_made_up_for",
    IgnoresDeadline: "test_access_after_its_deadline_is_refused_and_opens_nothing",
    Hangs: "test_access_to_a_silent_device_ends_at_its_deadline_and_is_never_made_up_for",
    OpensTwice: "test_access_releases_the_lock_once_for_the_time_asked",
    OpensAnything: "test_access_at_a_lock_it_does_not_have_is_refused",
    OpensForever: "test_access_releases_the_lock_once_for_the_time_asked",
    ReportsTwice: "test_a_read_is_reported_once_and_as_of_now",
    TrustsTheWire: "test_doubled_messages_are_reported_once",
    DropsWhatIsOutOfOrder: "test_messages_out_of_order_are_each_reported_once",
    CallsOldReadsNew: "test_a_late_read_tells_its_true_moment",
    DiesOfGarbage: "test_garbage_is_no_fault_and_no_report",
    NeverNotices: "test_a_silent_device_is_noticed_and_served_again",
    GivesUp: "test_a_device_that_is_absent_at_start_is_found_when_it_comes",
    MistakesSecrets: "test_a_wrong_secret_is_told_apart_and_never_ready",
    LeavesTasks: "test_its_end_is_quick_and_leaves_nothing_behind",
    LogsCards: "test_forbidden_attributes_end_at_the_driver",
    ForgetsTheDoor: "test_what_the_door_did_while_nobody_served_is_told_at_connection",
    ForgetsFire: "test_an_input_that_ended_while_nobody_served_is_told_at_connection",
    HoldsTheWrongWay: "test_a_mode_holds_until_told_otherwise",
}


class Impatient(TinyPeer):
    notices = 1.0
    connects = 1.0

    async def garbage(self, data: bytes) -> None:
        await super().garbage(data)
        self.wire.inject(line({"t": "garbage"}))


async def play(case: str, driver: type[Driver], folder: Path, peer: Peer) -> None:
    """One case of the suite, outside pytest's collection."""

    class Suite(DriverConformance):
        day = 20
        bound = 3.0
        hang = 1.0

    Suite.driver = driver
    suite = Suite()
    driven = suite.again(peer, folder)
    known = {
        "peer": peer,
        "driven": driven,
        "tmp_path": folder,
        "seed": 1,
        "off": 86400.0,
        "which": Input.FIRE,
    }
    method = getattr(suite, case)
    await peer.start()
    try:
        await method(**{name: known[name] for name in inspect.signature(method).parameters})
    finally:
        await peer.stop()
        await peer.close()


FAILURE = (AssertionError, pytest.fail.Exception)


@pytest.mark.parametrize(("mutant", "case"), MUTANTS.items(), ids=[cls.__name__ for cls in MUTANTS])
async def test_a_faulty_driver_fails(mutant: type[Driver], case: str, tmp_path: Path) -> None:
    retained.clear()
    before = asyncio.all_tasks()
    with pytest.raises(FAILURE):
        await play(case, mutant, tmp_path, Impatient(tmp_path))
    for task in asyncio.all_tasks() - before:
        task.cancel()


async def test_a_case_that_a_peer_cannot_play_is_skipped_with_its_reason(tmp_path: Path) -> None:
    class Bare(TinyPeer):
        lacks: ClassVar = {Ability.SECRET: "it lets anybody in"}

    with pytest.raises(pytest.skip.Exception, match="SECRET: it lets anybody in"):
        await play("test_a_wrong_secret_is_told_apart_and_never_ready", TinyDriver, tmp_path, Bare(tmp_path))


async def test_a_case_that_a_peer_neither_lacks_nor_plays_fails(tmp_path: Path) -> None:
    class Lazy(TinyPeer):
        hold_commands = Peer.hold_commands

    with pytest.raises(NotImplementedError, match="LATE_COMMANDS"):
        case = "test_access_that_is_held_up_on_its_way_opens_nothing_late"
        await play(case, TinyDriver, tmp_path, Lazy(tmp_path))


def test_every_case_needs_only_what_it_says() -> None:
    """A case that no peer could be excused from would be a case that is passed by never being played."""
    cases = [name for name in dir(DriverConformance) if name.startswith("test_")]
    assert len(cases) >= 30
    assert set(MUTANTS.values()) <= set(cases)
