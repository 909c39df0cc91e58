"""The driver against simulated controllers in a process of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from pydantic import ValidationError

from menwei.clock import TrustedClock
from menwei.context import AuthFailed, Context, NotReady
from menwei.messages import Messages
from menwei.model import DeviceInfo, DoorMode, DoorState, Feedback, FeedbackKind
from menwei.plugin import Driver
from menwei_simulator import register_drivers
from menwei_simulator.controller import ControllerSpec
from menwei_simulator.driver import SimulatorConfig, SimulatorDriver
from menwei_simulator.protocol import LockMode
from peers.street import Street

pytestmark = pytest.mark.e2e

BOUND = 60.0
CARD = "04A2B3C4"


@dataclass
class Heard:
    """Keeps what a driver reports, and lets a test wait for it."""

    reports: list[tuple[Any, ...]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def _add(self, *report: Any) -> None:
        self.reports.append(report)
        self.changed.set()
        self.changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(BOUND):
            while not condition():
                await self.changed.wait()

    async def wait(self, *report: Any) -> None:
        await self.until(lambda: report in self.reports)

    def ready(self, info: DeviceInfo) -> None:
        self._add("ready", info)

    def card(self, reader: str, format: str, value: str, *, received: float | None = None) -> None:
        self._add("card", reader, format, value, received)

    def digits(self, reader: str, digits: str, *, received: float | None = None) -> None:
        self._add("digits", reader, digits, received)

    def door_state(self, lock: str, state: DoorState) -> None:
        self._add("door_state", lock, state)

    def exit_button(self, lock: str) -> None:
        self._add("exit_button", lock)

    def call_button(self, lock: str) -> None:
        self._add("call_button", lock)

    def tamper(self, part: str, active: bool) -> None:
        self._add("tamper", part, active)

    def fire(self, lock: str, active: bool) -> None:
        self._add("fire", lock, active)

    def fault(self, part: str, active: bool) -> None:
        self._add("fault", part, active)

    def cards(self) -> list[tuple[Any, ...]]:
        return [report for report in self.reports if report[0] == "card"]


@dataclass
class Driven:
    """A driver at work: the driver, its `run` as a task, and what it reported."""

    driver: SimulatorDriver
    run: asyncio.Task[None]
    heard: Heard

    async def lost(self) -> BaseException | None:
        """Why `run` ended."""
        await asyncio.wait({self.run}, timeout=BOUND)
        assert self.run.done(), "the driver hangs"
        return self.run.exception()


def deadline(seconds: float = BOUND) -> float:
    return time.monotonic() + seconds


@asynccontextmanager
async def driving(street: Street, *, ready: bool = True, **settings: Any) -> AsyncIterator[Driven]:
    address = street.addresses["sim-gate"]
    config = SimulatorConfig(host=address.host, port=address.port, **settings)
    heard = Heard()
    driver = SimulatorDriver(Context("simulator", structlog.get_logger(), TrustedClock()), config, heard)
    run = asyncio.create_task(driver.run())
    try:
        if ready:
            await heard.until(lambda: bool(heard.reports) or run.done())
        yield Driven(driver, run, heard)
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    spec = ControllerSpec("sim-gate", locks=("1", "2"), heartbeat=0.2)
    async with Street(tmp_path, [spec]) as running:
        yield running


async def test_it_says_ready_and_how_the_doors_stand(street: Street) -> None:
    await street.at().force("2")
    await street.at().fire(True, "1")
    await street.at().tamper(True, "out")
    async with driving(street) as driven:
        await driven.heard.wait("fault", "out", False)
        (first, info), *rest = driven.heard.reports
        assert first == "ready"
        assert (info.id, info.locks, info.readers) == ("sim-gate", ("1", "2"), ("in", "out"))
        assert rest == [
            ("door_state", "1", DoorState.CLOSED),
            ("fire", "1", True),
            ("door_state", "2", DoorState.OPEN),
            ("fire", "2", False),
            ("tamper", "", False),
            ("tamper", "in", False),
            ("fault", "in", False),
            ("tamper", "out", True),
            ("fault", "out", False),
        ]


async def test_access_releases_the_lock_and_names_the_passage_in_the_pulse_log(street: Street) -> None:
    async with driving(street) as driven:
        await driven.driver.access("2", 3.0, deadline(), passage="yard/7/42")
        (pulse,) = street.pulses()
        assert (pulse.lock, pulse.seconds, pulse.passage) == ("2", 3.0, "yard/7/42")
        assert await street.at().walk_through("2", wait=BOUND)
        await driven.heard.wait("door_state", "2", DoorState.OPEN)


async def test_what_people_do_at_the_door_is_reported(street: Street) -> None:
    gate = street.at()
    async with driving(street) as driven:
        before = time.monotonic()
        await driven.heard.wait("fault", "out", False)  # the last of what is told at connection
        driven.heard.reports.clear()
        await gate.present(CARD)
        await gate.type("2468", "out")
        await gate.press_exit("2")
        await gate.press_call("2")
        await gate.fire(True, "2")
        await gate.fire(False, "2")
        await gate.tamper(True)
        await gate.break_contact("1")
        await driven.heard.wait("door_state", "1", DoorState.FAULT)
        events = [report for report in driven.heard.reports if report[0] not in ("ready", "door_state")]
        assert [event[:-1] if event[0] in ("card", "digits") else event for event in events] == [
            ("card", "in", "uid", CARD),
            ("digits", "out", "2468"),
            ("exit_button", "2"),
            ("call_button", "2"),
            ("fire", "2", True),
            ("fire", "2", False),
            ("tamper", "", True),
        ]
        received = events[0][-1]
        assert before - 1.0 <= received <= time.monotonic()


async def test_a_read_delivered_late_carries_its_true_moment(street: Street) -> None:
    async with driving(street) as driven:
        await street.at().delay(1.0)
        before = time.monotonic()
        await street.at().present(CARD)
        await driven.heard.until(lambda: bool(driven.heard.cards()))
        delivered = time.monotonic()
        received = driven.heard.cards()[0][-1]
        assert delivered - before >= 1.0
        assert before - 0.5 <= received <= delivered - 0.9


@pytest.mark.parametrize(
    ("mode", "held"),
    [
        (DoorMode.UNLOCKED, LockMode.UNLOCKED),
        (DoorMode.LOCKED_OPEN, LockMode.UNLOCKED),
        (DoorMode.LOCKED, LockMode.LOCKED),
        (DoorMode.LOCKED_DOWN, LockMode.LOCKED),
        (DoorMode.BLOCKED, LockMode.LOCKED),
        (DoorMode.DOUBLE_LOCKED, LockMode.LOCKED),
    ],
)
async def test_a_mode_becomes_the_nearest_that_the_hardware_knows(
    street: Street, mode: DoorMode, held: LockMode
) -> None:
    async with driving(street) as driven:
        await driven.driver.set_mode("1", DoorMode.UNLOCKED, deadline())
        await driven.driver.set_mode("1", mode, deadline())
    assert (await street.at().state()).locks[0].mode is held


async def test_feedback_is_shown_at_the_reader(street: Street) -> None:
    async with driving(street) as driven:
        await driven.driver.feedback("out", Feedback(FeedbackKind.DENIED, "未注册信息", 30.0))
        assert await street.at().shown("denied", "out", within=BOUND)
        assert (await street.at().state()).readers[1].text == "未注册信息"


async def test_a_silent_controller_is_a_time_out_and_then_lost(street: Street) -> None:
    async with driving(street, silence=1.0) as driven:
        await street.at().silent()
        with pytest.raises(TimeoutError):
            await driven.driver.access("1", 5.0, deadline(0.2))
        lost = await driven.lost()
        assert isinstance(lost, NotReady)
        assert "silent" in str(lost)
        with pytest.raises(NotReady):
            await driven.driver.access("1", 5.0, deadline())
        await street.at().silent(False)
    assert street.pulses() == []


async def test_a_controller_that_is_silent_from_the_start_is_not_ready(street: Street) -> None:
    await street.at().silent()
    async with driving(street, ready=False, connect_timeout=0.3) as driven:
        assert isinstance(await driven.lost(), NotReady)
        assert driven.heard.reports == []


async def test_a_command_after_its_deadline_is_not_sent(street: Street) -> None:
    async with driving(street) as driven:
        with pytest.raises(TimeoutError, match="deadline"):
            await driven.driver.access("1", 5.0, time.monotonic() - 0.001)
        await driven.driver.access("2", 5.0, deadline())
    assert [pulse.lock for pulse in street.pulses()] == ["2"]


async def test_a_command_that_reached_the_controller_too_late_opens_nothing(street: Street) -> None:
    async with driving(street, silence=BOUND) as driven:
        await street.at().silent()
        with pytest.raises(TimeoutError):
            await driven.driver.access("1", 5.0, deadline(0.2), passage="late")
        await street.at().silent(False)
        await driven.driver.access("2", 5.0, deadline(), passage="timely")
    assert [pulse.passage for pulse in street.pulses()] == ["timely"]


async def test_an_unknown_lock_is_refused_in_words(street: Street) -> None:
    async with driving(street) as driven:
        with pytest.raises(NotReady, match="unknown-lock"):
            await driven.driver.access("9", 5.0, deadline())


async def test_two_commands_at_once_get_their_own_answers(street: Street) -> None:
    async with driving(street) as driven:
        locks = ["1", "9", "2", "9"]
        answers = await asyncio.gather(
            *(driven.driver.access(lock, 1.0, deadline()) for lock in locks), return_exceptions=True
        )
    assert [answer is None for answer in answers] == [True, False, True, False]


async def test_garbage_from_the_controller_is_passed_over(street: Street) -> None:
    async with driving(street) as driven:
        await street.at().garbage(5000)
        await street.at().garbage(line="[" * 1000)
        await street.at().garbage(line='{"type":"card","reader":7,"clock":-1}')
        await street.at().garbage(line='{"type":"contact","lock":"1","state":"ajar","clock":1,"age_ms":0}')
        await street.at().present(CARD)
        await driven.heard.until(lambda: bool(driven.heard.cards()))
        assert ("door_state", "1", DoorState.UNKNOWN) in driven.heard.reports
        assert not driven.run.done()


async def test_a_line_of_ten_megabytes_from_a_device_is_refused() -> None:
    async def ten_megabytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 10_000_000)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        refused.set()

    refused = asyncio.Event()
    async with await asyncio.start_server(ten_megabytes, "127.0.0.1") as server:
        config = SimulatorConfig(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
        with pytest.raises(NotReady, match="bytes"):
            await SimulatorDriver.probe(config)
        async with asyncio.timeout(BOUND):
            await refused.wait()


async def test_a_reader_lost_and_back_is_shown_as_a_repair_in_between(street: Street) -> None:
    async with driving(street) as driven:
        await street.at().unplug("out")
        async with asyncio.timeout(BOUND):
            while not driven.driver.repairs():
                await asyncio.sleep(0.01)
        (repair,) = driven.driver.repairs()
        assert repair.values == {"device": "sim-gate", "reader": "out"}
        await street.at().present(CARD, "in")
        await driven.heard.until(lambda: bool(driven.heard.cards()))
        await street.at().plug("out")
        await street.at().present(CARD, "out")
        await driven.heard.until(lambda: len(driven.heard.cards()) == 2)
        assert driven.driver.repairs() == []


async def test_a_reader_that_was_lost_before_the_connection_is_known(street: Street) -> None:
    await street.at().unplug("in")
    async with driving(street) as driven:
        await driven.heard.wait("door_state", "2", DoorState.CLOSED)
        assert [repair.values["reader"] for repair in driven.driver.repairs()] == ["in"]


async def test_a_dropped_connection_is_not_ready_and_a_new_run_works(street: Street) -> None:
    async with driving(street) as driven:
        await street.at().drop()
        assert isinstance(await driven.lost(), NotReady)
    async with driving(street) as driven:
        await driven.driver.access("1", 1.0, deadline())


async def test_a_killed_controller_is_not_ready_until_it_is_back(street: Street) -> None:
    async with driving(street) as driven:
        await street.kill()
        assert isinstance(await driven.lost(), NotReady)
    with pytest.raises(NotReady):
        await SimulatorDriver.probe(driven.driver.config)
    await street.start()
    assert (await SimulatorDriver.probe(driven.driver.config)).id == "sim-gate"


async def test_a_restarted_controller_takes_commands_by_its_new_clock(street: Street) -> None:
    async with driving(street) as driven:
        await street.at().restart(0.1)
        assert isinstance(await driven.lost(), NotReady)
    async with driving(street) as driven:
        await driven.driver.access("1", 1.0, deadline())


async def test_a_second_host_is_not_ready_and_its_probe_works(street: Street) -> None:
    async with driving(street), driving(street, ready=False) as second:
        lost = await second.lost()
        assert isinstance(lost, NotReady)
        assert "another host" in str(lost)
        assert (await SimulatorDriver.probe(second.driver.config)).readers == ("in", "out")


async def test_nobody_listening_is_not_ready(street: Street) -> None:
    await street.stop()
    address = street.addresses["sim-gate"]
    with pytest.raises(NotReady, match=f"127.0.0.1:{address.port}"):
        await SimulatorDriver.probe(SimulatorConfig(host=address.host, port=address.port))


# ----------------------------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    ("device", "host", "says"),
    [
        ("correct", "wrong", "refused the secret"),
        ("correct", "", "wants a secret"),
        ("", "correct", "asks for none"),
    ],
)
async def test_a_secret_that_does_not_fit_is_told_to_the_installer(
    tmp_path: Path, device: str, host: str, says: str
) -> None:
    async with (
        Street(tmp_path, [ControllerSpec("sim-gate", secret=device)]) as street,
        driving(street, ready=False, secret=host) as driven,
    ):
        lost = await driven.lost()
        assert isinstance(lost, AuthFailed)
        assert says in str(lost)
        assert "correct" not in str(lost)


async def test_the_right_secret_is_accepted_by_both_sides(tmp_path: Path) -> None:
    spec = ControllerSpec("sim-gate", secret="correct 密钥")
    async with Street(tmp_path, [spec]) as street, driving(street, secret="correct 密钥") as driven:
        await driven.driver.access("1", 1.0, deadline())


async def test_a_device_that_only_pretends_to_know_the_secret_is_refused(tmp_path: Path) -> None:
    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"type":"hello","protocol":1,"id":"sim-gate","nonce":"n","secret":true}\n')
        await reader.readline()
        writer.write(b'{"type":"welcome","clock":1,"heartbeat":1000,"proof":"00","model":"m","version":"1",')
        writer.write(b'"tamper":false,"locks":[],"readers":[]}\n')
        await reader.read()
        writer.close()

    async with await asyncio.start_server(pretend, "127.0.0.1") as server:
        config = SimulatorConfig(host="127.0.0.1", port=server.sockets[0].getsockname()[1], secret="correct")
        with pytest.raises(AuthFailed, match="does not know"):
            await SimulatorDriver.probe(config)


# ------------------------------------------------------------------------------------------------------------ plugin


def test_the_plugin_registers_the_driver() -> None:
    assert register_drivers() == [SimulatorDriver]
    assert issubclass(SimulatorDriver, Driver)


def test_the_config_refuses_keys_it_does_not_know_and_takes_the_port_of_a_template() -> None:
    assert SimulatorConfig.model_validate({"host": "127.0.0.1", "port": "40001"}).port == 40001
    with pytest.raises(ValidationError, match="colour"):
        SimulatorConfig.model_validate({"host": "127.0.0.1", "port": 1, "colour": "red"})


def test_the_secret_does_not_show_in_the_text_of_the_config() -> None:
    assert "correct" not in repr(SimulatorConfig(host="h", port=1, secret="correct"))


def test_a_controller_on_the_network_without_a_secret_is_a_repair_in_both_languages() -> None:
    config = SimulatorConfig(host="192.0.2.7", port=1)
    driver = SimulatorDriver(Context("simulator", structlog.get_logger(), TrustedClock()), config, Heard())
    (repair,) = driver.repairs()
    messages = Messages(strict=True)
    messages.add("menwei_simulator")
    for language in ("zh-CN", "en"):
        assert "192.0.2.7" in messages.t(language, repair.message, **repair.values)
    assert messages.t("zh-CN", "simulator.repair.reader_lost", device="a", reader="b") != messages.t(
        "en", "simulator.repair.reader_lost", device="a", reader="b"
    )


def test_the_manifest_discovers_by_the_service_type_the_controller_announces() -> None:
    from menwei_simulator import announcement

    manifest = yaml.safe_load((Path(announcement.__file__).parent / "menwei-plugin.yaml").read_text())
    (rule,) = manifest["discovers"]["zeroconf"]
    assert rule["type"] == announcement.SERVICE_TYPE
    assert rule["driver"] == SimulatorDriver.name
    assert set(rule["config"]) <= set(SimulatorConfig.model_fields)
