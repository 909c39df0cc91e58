"""The simulated controller as a host and the people at its doors see it, inside this process."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar
from unittest.mock import ANY

import pytest

from menwei_simulator.board import Miswired
from menwei_simulator.controller import ControllerSpec
from menwei_simulator.device import Simulation, simulate
from menwei_simulator.protocol import (
    MAX_LINE,
    AccessCommand,
    Ack,
    Bye,
    CardEvent,
    Contact,
    ContactEvent,
    DeviceHello,
    ExitEvent,
    FeedbackCommand,
    HostHello,
    HostMessage,
    LockMode,
    ModeCommand,
    ReaderEvent,
    Refusal,
    Role,
    Side,
    TamperEvent,
    Welcome,
    decode_device,
    encode,
    prove,
)
from menwei_simulator.pulselog import Cause, read_lines, read_pulses
from menwei_simulator.stage import Stage, StageError, open_stage

pytestmark = pytest.mark.slow

Kind = TypeVar("Kind")
BOUND = 60.0
SPEC = ControllerSpec("sim-gate", locks=("1", "2"), heartbeat=0.5)


class Host:
    """A host of its own hand, without the driver: it says exactly what a test wants said."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, message: HostMessage) -> None:
        self.writer.write(encode(message))

    async def hear(self, kind: type[Kind]) -> Kind:
        """The next message of this kind; others are passed over."""
        async with asyncio.timeout(BOUND):
            while line := await self.reader.readline():
                message = decode_device(line)
                if isinstance(message, kind):
                    return message
        raise AssertionError(f"the device ended the connection without {kind.__name__}")

    async def greet(self, role: Role = Role.SERVE, secret: str = "") -> None:
        hello = await self.hear(DeviceHello)
        self.say(HostHello(1, role, "n", prove(secret, Side.HOST, hello.nonce, "n")))

    async def ended(self) -> bool:
        async with asyncio.timeout(BOUND):
            while await self.reader.read(65536):
                pass
        return True


@asynccontextmanager
async def host(simulation: Simulation, greet: bool = True) -> AsyncIterator[Host]:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulation.controllers["sim-gate"].port)
    try:
        there = Host(reader, writer)
        if greet:
            await there.greet()
            await there.hear(Welcome)
        yield there
    finally:
        writer.close()


@pytest.fixture
async def simulation(tmp_path: Path) -> AsyncIterator[Simulation]:
    async with simulate([SPEC], tmp_path / "pulses", announce=False) as running:
        yield running


@pytest.fixture
async def gate(simulation: Simulation) -> AsyncIterator[Stage]:
    async with open_stage(simulation.stage_port) as channel:
        yield channel.at("sim-gate")


def access(simulation: Simulation, id: int = 1, **changes: object) -> AccessCommand:
    fields: dict[str, object] = {"lock": "1", "seconds": 5.0, "expires_in": 2000, "passage": "p-1"}
    fields |= {"sent": simulation.controllers["sim-gate"].clock()} | changes
    return AccessCommand(id, **fields)  # type: ignore[arg-type]


async def test_an_access_command_releases_the_lock_and_is_in_the_log_before_it_is_acknowledged(
    simulation: Simulation, gate: Stage, tmp_path: Path
) -> None:
    async with host(simulation) as there:
        there.say(access(simulation))
        ack = await there.hear(Ack)
        assert ack == Ack(1, ok=True, pulse=1)
        (pulse,) = read_pulses(tmp_path / "pulses")
    assert (pulse.lock, pulse.passage, pulse.command, pulse.cause) == ("1", "p-1", 1, Cause.COMMAND)
    state = await gate.state()
    assert [lock.released for lock in state.locks] == [True, False]


async def test_the_lock_falls_back_by_itself(simulation: Simulation, gate: Stage) -> None:
    async with host(simulation) as there:
        there.say(access(simulation, seconds=0.05))
        await there.hear(Ack)
    assert await gate.locked(within=BOUND)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"sent": 0, "expires_in": 0}, Refusal.EXPIRED),
        ({"sent": 10**12}, Refusal.FUTURE),
        ({"expires_in": 10**9}, Refusal.MALFORMED),
        ({"lock": "9"}, Refusal.UNKNOWN_LOCK),
        ({"seconds": 0.0}, Refusal.MALFORMED),
        ({"seconds": 86_400.0}, Refusal.MALFORMED),
    ],
)
async def test_a_command_that_must_not_be_obeyed_is_refused_and_leaves_no_pulse(
    simulation: Simulation, gate: Stage, tmp_path: Path, changes: dict[str, object], error: Refusal
) -> None:
    async with host(simulation) as there:
        await asyncio.sleep(0.005)  # so that the clock is past 0
        there.say(access(simulation, **changes))
        assert await there.hear(Ack) == Ack(1, ok=False, error=error)
    assert not await gate.released(within=0)
    assert read_pulses(tmp_path / "pulses") == []


async def test_a_command_sent_twice_is_obeyed_once(simulation: Simulation, tmp_path: Path) -> None:
    async with host(simulation) as there:
        command = access(simulation)
        there.say(command)
        there.say(command)
        answers = {(await there.hear(Ack)).error, (await there.hear(Ack)).error}
    assert answers == {None, Refusal.REPLAYED}
    assert len(read_pulses(tmp_path / "pulses")) == 1


async def test_a_command_kept_while_the_device_hung_is_refused(
    simulation: Simulation, gate: Stage, tmp_path: Path
) -> None:
    async with host(simulation) as there:
        await gate.silent()
        there.say(access(simulation, expires_in=50))
        await asyncio.sleep(0.1)  # the command's life goes by while it lies in the socket
        await gate.silent(False)
        assert (await there.hear(Ack)).error is Refusal.EXPIRED
    assert read_pulses(tmp_path / "pulses") == []


async def test_a_pulse_that_the_disk_made_late_is_withdrawn(tmp_path: Path) -> None:
    slow = threading.Event()

    def sync(file: int) -> None:
        slow.wait(0.2)
        os.fsync(file)

    async with (
        simulate([SPEC], tmp_path / "pulses", announce=False, sync=sync) as running,
        host(running) as there,
    ):
        there.say(access(running, expires_in=100))
        slow_ack = await there.hear(Ack)
        assert slow_ack.error is Refusal.EXPIRED
        slow.set()
        assert not running.controllers["sim-gate"].board.released(
            running.controllers["sim-gate"].board.lock("1")
        )
    assert [line["kind"] for line in read_lines(tmp_path / "pulses")] == ["pulse", "withdrawn"]
    assert read_pulses(tmp_path / "pulses") == []


async def test_a_full_disk_refuses_the_command_and_still_lets_people_out(tmp_path: Path) -> None:
    def sync(file: int) -> None:
        raise OSError(28, "No space left on device")

    async with (
        simulate([SPEC], tmp_path / "pulses", announce=False, sync=sync) as running,
        host(running) as there,
        open_stage(running.stage_port) as channel,
    ):
        there.say(access(running))
        assert (await there.hear(Ack)).error is Refusal.LOG
        assert not await channel.at().released(within=0)
        await channel.at().press_exit()
        assert await channel.at().walk_through(wait=BOUND)


async def test_a_mode_holds_the_lock_and_is_logged(
    simulation: Simulation, gate: Stage, tmp_path: Path
) -> None:
    clock = simulation.controllers["sim-gate"].clock
    async with host(simulation) as there:
        there.say(ModeCommand(1, "1", LockMode.UNLOCKED, clock(), 2000))
        assert (await there.hear(Ack)).ok
        assert await gate.released(within=0)
        there.say(ModeCommand(2, "1", LockMode.LOCKED, clock(), 2000))
        assert (await there.hear(Ack)).ok
        assert not await gate.released(within=0)
    modes = [(line["kind"], line["mode"]) for line in read_lines(tmp_path / "pulses")]
    assert modes == [("mode", "unlocked"), ("mode", "locked")]


async def test_leaving_is_free_without_any_host(simulation: Simulation, gate: Stage, tmp_path: Path) -> None:
    await gate.press_exit()
    assert await gate.walk_through(wait=BOUND)
    await gate.fire(True, lock="2")
    assert await gate.walk_through(lock="2")
    await gate.fire(False, lock="2")
    assert not await gate.released("2", within=0)
    assert [p.cause for p in read_pulses(tmp_path / "pulses")] == [Cause.EXIT, Cause.FIRE]


async def test_a_lockdown_does_not_stop_the_exit_button(simulation: Simulation, gate: Stage) -> None:
    async with host(simulation) as there:
        there.say(ModeCommand(1, "1", LockMode.LOCKED, simulation.controllers["sim-gate"].clock(), 2000))
        await there.hear(Ack)
        await gate.press_exit()
        assert await gate.walk_through(wait=BOUND)


async def test_a_contact_wired_the_wrong_way_round_tells_the_opposite(
    simulation: Simulation, gate: Stage
) -> None:
    async with host(simulation) as there:
        await gate.wire(Miswired.CONTACT)
        assert (await there.hear(ContactEvent)).state is Contact.OPEN
        await gate.force()
        assert (await there.hear(ContactEvent)).state is Contact.CLOSED


async def test_buttons_with_loose_wires_do_nothing(simulation: Simulation, gate: Stage) -> None:
    async with host(simulation) as there:
        await gate.wire(Miswired.EXIT_BUTTON, Miswired.CALL_BUTTON)
        await gate.press_exit()
        await gate.press_call()
        with pytest.raises(StageError, match="locked"):
            await gate.open()
        await gate.wire()
        await gate.press_exit()
        await there.hear(ExitEvent)  # the first that is heard: nothing came before


async def test_a_lock_without_its_current_never_locks(gate: Stage) -> None:
    await gate.wire(Miswired.LOCK)
    await gate.open()
    await gate.close()


async def test_a_fault_of_wiring_that_nobody_knows_is_refused(gate: Stage) -> None:
    with pytest.raises(StageError, match="hinge"):
        await gate._do("wire", wrong="hinge")


async def test_a_locked_door_can_only_be_forced(simulation: Simulation, gate: Stage) -> None:
    with pytest.raises(StageError, match="locked"):
        await gate.open()
    async with host(simulation) as there:
        await gate.force()
        assert (await there.hear(ContactEvent)).state is Contact.OPEN
        await gate.close()
        assert (await there.hear(ContactEvent)).state is Contact.CLOSED


async def test_nobody_walks_through_a_door_that_stays_locked(gate: Stage) -> None:
    assert not await gate.walk_through(wait=0.05)
    assert (await gate.state()).locks[0].contact is Contact.CLOSED


async def test_what_happens_at_the_door_is_told_to_the_host(simulation: Simulation, gate: Stage) -> None:
    async with host(simulation) as there:
        await gate.present("04A2B3C4")
        card = await there.hear(CardEvent)
        assert (card.reader, card.format, card.value) == ("in", "uid", "04A2B3C4")
        await gate.press_exit()
        assert (await there.hear(ExitEvent)).lock == "1"
        await gate.tamper(True, "out")
        assert await there.hear(TamperEvent) == TamperEvent(part="out", active=True, clock=ANY, age_ms=ANY)
        await gate.unplug("out")
        assert not (await there.hear(ReaderEvent)).online
        with pytest.raises(StageError, match="unplugged"):
            await gate.present("04A2B3C4", "out")
        await gate.plug("out")
        assert (await there.hear(ReaderEvent)).online


async def test_a_card_held_on_the_reader_is_read_again_and_again(simulation: Simulation, gate: Stage) -> None:
    async with host(simulation) as there:
        assert await gate.hold("04A2B3C4", seconds=1.0, every=0.02) >= 2
        assert await there.hear(CardEvent)
        assert await there.hear(CardEvent)


async def test_a_delayed_read_tells_its_true_age(simulation: Simulation, gate: Stage) -> None:
    async with host(simulation) as there:
        await gate.delay(0.2)
        await gate.present("04A2B3C4")
        assert (await there.hear(CardEvent)).age_ms >= 200


async def test_a_read_that_no_host_heard_is_not_kept(simulation: Simulation, gate: Stage) -> None:
    await gate.present("0BAD0BAD")
    async with host(simulation) as there:
        await gate.present("04A2B3C4")
        assert (await there.hear(CardEvent)).value == "04A2B3C4"


async def test_the_display_shows_the_text_and_is_cleared(simulation: Simulation, gate: Stage) -> None:
    async with host(simulation) as there:
        there.say(FeedbackCommand(1, "in", "denied", "未注册信息", 0.2))
        assert (await there.hear(Ack)).ok
        assert (await gate.state()).readers[0].text == "未注册信息"
        assert await gate.shown("", within=BOUND)
        assert (await gate.state()).readers[0].text == ""


async def test_a_second_host_is_told_busy_and_may_probe(simulation: Simulation) -> None:
    async with host(simulation):
        async with host(simulation, greet=False) as second:
            await second.greet()
            assert (await second.hear(Bye)).reason is Refusal.BUSY
        async with host(simulation, greet=False) as probe:
            await probe.greet(Role.PROBE)
            assert (await probe.hear(Welcome)).model == SPEC.model


async def test_a_host_that_dies_without_a_word_makes_room(simulation: Simulation) -> None:
    async with host(simulation) as dead, host(simulation, greet=False) as second:
        assert (await dead.hear(Bye)).reason is Refusal.STALLED
        await second.greet()
        assert await second.hear(Welcome)


async def test_a_probe_cannot_command(simulation: Simulation, tmp_path: Path) -> None:
    async with host(simulation, greet=False) as probe:
        await probe.greet(Role.PROBE)
        await probe.hear(Welcome)
        probe.say(access(simulation))
        assert (await probe.hear(Bye)).reason is Refusal.PROTOCOL
    assert read_pulses(tmp_path / "pulses") == []


async def test_a_command_before_hello_ends_the_connection(simulation: Simulation, tmp_path: Path) -> None:
    async with host(simulation, greet=False) as there:
        there.say(access(simulation))
        assert (await there.hear(Bye)).reason is Refusal.PROTOCOL
    assert read_pulses(tmp_path / "pulses") == []


async def test_garbage_from_a_host_is_refused_and_survived(simulation: Simulation) -> None:
    async with host(simulation) as there:
        there.writer.write(b"\x00\xff garbage\n" + b'{"type":"access","id":7}\n')
        assert (await there.hear(Ack)) == Ack(0, ok=False, error=Refusal.MALFORMED)
        assert (await there.hear(Ack)) == Ack(7, ok=False, error=Refusal.MALFORMED)
        there.say(access(simulation, 8))
        assert (await there.hear(Ack)).ok


async def test_a_line_of_ten_megabytes_ends_the_connection_and_nothing_else(simulation: Simulation) -> None:
    async with host(simulation) as there:
        try:
            for _ in range(160):
                there.writer.write(b"x" * MAX_LINE)
                await there.writer.drain()
            assert await there.ended()
        except ConnectionError:
            pass  # reset while we were still writing: refused all the same
    async with host(simulation) as there:
        there.say(access(simulation))
        assert (await there.hear(Ack)).ok


async def test_a_web_page_cannot_play_on_the_stage(simulation: Simulation) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulation.stage_port)
    writer.write(b'POST / HTTP/1.1\r\n\r\n{"id":1,"do":"force"}\n')
    async with asyncio.timeout(BOUND):
        assert await reader.read() == b""
    writer.close()
    assert simulation.controllers["sim-gate"].board.lock("1").contact is Contact.CLOSED


async def test_an_unknown_action_is_answered_with_those_there_are(simulation: Simulation) -> None:
    async with open_stage(simulation.stage_port) as channel:
        with pytest.raises(StageError, match="walk-through"):
            await channel.ask("fly")
        with pytest.raises(StageError, match="sim-gate"):
            await channel.at("nowhere").state()


async def test_a_restart_relocks_and_ends_the_connections(simulation: Simulation, gate: Stage) -> None:
    async with host(simulation) as there:
        there.say(ModeCommand(1, "1", LockMode.UNLOCKED, simulation.controllers["sim-gate"].clock(), 2000))
        await there.hear(Ack)
        await gate.restart()
        with suppress(ConnectionError):
            assert await there.ended()
    assert not await gate.released(within=0)
    async with host(simulation):
        assert await gate.served(within=0)


@pytest.mark.parametrize("id", ["", "two words", "a.b", "../x", "-x", "x" * 41])
def test_an_id_that_would_not_be_a_name_is_refused(id: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        ControllerSpec(id)
