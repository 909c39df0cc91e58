"""One supervisor task a device: visible states, patience that fits the trouble, nothing one driver does stops another."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from menwei.context import AuthFailed, NotReady
from menwei.model import DeviceInfo
from menwei.supervisor import LONGEST_TEXT, DeviceState, Supervised, Supervisor, Times

QUICK = Times(first_retry=0.01, longest_retry=0.05, fault_retry=0.02, auth_retry=0.05, auth_wake=0.0, wake=0.0, loading=0.2, ending=0.1)  # fmt: skip
PATIENT = Times(
    first_retry=600, longest_retry=600, fault_retry=600, auth_retry=600, auth_wake=0.0, wake=0.0, ending=0.1
)
INFO = DeviceInfo("1", "gate")


class Fake:
    """A driver whose every life is the next of `lives`; the last one repeats. A fake: endings cannot be ordered from a
    real device one by one."""

    def __init__(self, ready, lives, started):
        self.ready = ready
        self.lives = lives
        self.started = started

    async def run(self):
        self.started.append(asyncio.get_running_loop().time())
        life = self.lives.pop(0) if len(self.lives) > 1 else self.lives[0]
        await life(self.ready)

    def repairs(self):
        return []


class Device:
    """A device with its lives, and how often it was begun."""

    def __init__(self, *lives):
        self.lives = list(lives)
        self.started = []

    def supervised(self, settings=None):
        return Supervised(lambda ready: Fake(ready, self.lives, self.started), settings)


async def stays(ready):
    ready(INFO)
    await asyncio.Event().wait()


def raises(error):
    async def life(ready):
        raise error

    return life


def ready_then(error):
    async def life(ready):
        ready(INFO)
        raise error

    return life


async def hangs(ready):
    await asyncio.Event().wait()


async def returns(ready):
    ready(INFO)


async def never_ends(ready):
    ready(INFO)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if Rude.stop:
                raise


class Rude:
    """Lets a test end a driver that ignores its cancellation."""

    stop = False


class Watched:
    """A supervisor that remembers its changes, in an `async with`."""

    def __init__(self, times=QUICK, **devices):
        self.supervisor = Supervisor({id: device.supervised() for id, device in devices.items()}, times)
        self.changes = []
        self._changed = asyncio.Event()
        self.supervisor.on_change(self._remember)

    def _remember(self, *change):
        self.changes.append(change)
        self._changed.set()

    def states(self, id):
        return [state for changed, state, _ in self.changes if changed == id]

    async def until(self, seen):
        async with asyncio.timeout(60):
            while not seen():
                self._changed.clear()
                await self._changed.wait()

    async def turned(self, id, state, text=""):
        await self.until(lambda: any(c[:2] == (id, state) and text in c[2] for c in self.changes))

    async def __aenter__(self):
        await self.supervisor.start()
        return self

    async def __aexit__(self, *_):
        await self.supervisor.stop()


async def test_a_device_is_pending_then_loading_then_ready():
    watched = Watched(gate=Device(stays))
    assert watched.supervisor.state("gate") is DeviceState.PENDING
    async with watched:
        await watched.turned("gate", DeviceState.READY)
        assert watched.states("gate") == [DeviceState.LOADING, DeviceState.READY]
        assert watched.supervisor.info("gate") == INFO


async def test_a_driver_can_be_commanded_only_while_its_device_is_ready():
    async with Watched(PATIENT, gate=Device(stays), lost=Device(raises(NotReady("gone")))) as watched:
        await watched.turned("gate", DeviceState.READY)
        await watched.turned("lost", DeviceState.RETRYING)
        assert watched.supervisor.driver("gate") is not None
        assert watched.supervisor.driver("lost") is None
        assert watched.supervisor.driver("unheard of") is None


async def test_a_device_that_is_not_there_is_tried_again_until_it_is():
    gate = Device(raises(NotReady("no route")), raises(NotReady("no route")), stays)
    async with Watched(gate=gate) as watched:
        await watched.turned("gate", DeviceState.READY)
    assert len(gate.started) == 3
    assert ("gate", DeviceState.RETRYING, "no route") in watched.changes


async def test_a_device_that_is_lost_is_taken_up_again():
    async with Watched(gate=Device(ready_then(NotReady("cable")), stays)) as watched:
        await watched.until(lambda: watched.states("gate").count(DeviceState.READY) == 2)
    assert ("gate", DeviceState.RETRYING, "cable") in watched.changes


async def test_a_run_that_returns_is_a_lost_device():
    async with Watched(gate=Device(returns, stays)) as watched:
        await watched.turned("gate", DeviceState.RETRYING, "returned")


async def test_back_off_grows_to_its_bound():
    waits = []
    supervisor = Supervisor({"gate": Device(stays).supervised()}, Times())
    device = supervisor._devices["gate"]
    for _ in range(20):
        waits.append(supervisor._judge(device, NotReady("x"))[1])
    for tries, wait in enumerate(waits):
        bound = min(60.0, 2.0**tries)
        assert bound / 2 <= wait <= bound
    assert len(set(waits)) > 10  # jitter: not everybody at the same moment


async def test_an_announcement_ends_the_waiting():
    gate = Device(raises(NotReady("asleep")), stays)
    async with Watched(PATIENT, gate=gate) as watched:
        await watched.turned("gate", DeviceState.RETRYING)
        watched.supervisor.wake("gate")
        await watched.turned("gate", DeviceState.READY)


async def test_an_announcement_of_a_device_nobody_configured_is_ignored():
    async with Watched(PATIENT, gate=Device(stays)) as watched:
        watched.supervisor.wake("stranger")
        await watched.turned("gate", DeviceState.READY)


async def test_a_flood_of_announcements_does_not_become_a_flood_of_wrong_passwords():
    gate = Device(raises(AuthFailed("wrong key")))
    async with Watched(Times(auth_wake=600, auth_retry=600), gate=gate) as watched:
        await watched.turned("gate", DeviceState.FAILED, "wrong key")
        for _ in range(100):
            watched.supervisor.wake("gate")
            await asyncio.sleep(0)
        assert len(gate.started) == 1


async def test_a_refused_secret_is_shown_and_tried_again_once_the_device_speaks_up():
    gate = Device(raises(AuthFailed("wrong key")), stays)
    async with Watched(PATIENT, gate=gate) as watched:
        await watched.turned("gate", DeviceState.FAILED, "wrong key")
        assert [(r.message, r.severity) for r in watched.supervisor.repairs()] == [
            ("device.repair.failed", "error")
        ]
        watched.supervisor.wake("gate")
        await watched.turned("gate", DeviceState.READY)
        assert watched.supervisor.repairs() == []


async def test_a_fault_of_a_driver_is_failed_with_its_trace_in_the_log():
    with capture_logs() as logs:
        async with Watched(gate=Device(raises(ZeroDivisionError("by 0")), stays)) as watched:
            await watched.turned("gate", DeviceState.FAILED, "ZeroDivisionError: by 0")
            await watched.turned("gate", DeviceState.READY)
    (line,) = [line for line in logs if line["event"] == "driver failed"]
    assert "test_supervisor.py" in line["trace"]


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError()])
async def test_a_driver_that_ends_its_task_by_force_stops_nobody(error):
    async with Watched(gate=Device(raises(error), stays), other=Device(stays)) as watched:
        await watched.turned("gate", DeviceState.FAILED, "the driver")
        await watched.turned("gate", DeviceState.READY)
        assert watched.supervisor.state("other") is DeviceState.READY


@pytest.mark.parametrize(
    "said",
    ["board", None, replace(INFO, locks=None), replace(INFO, readers=("in", 1)), replace(INFO, locks="12")],
)
async def test_what_a_driver_says_of_its_device_must_be_a_device_info(said):
    async def life(ready):
        ready(said)
        await asyncio.Event().wait()

    async with Watched(gate=Device(life)) as watched:
        await watched.turned("gate", DeviceState.FAILED, "TypeError")
        assert watched.supervisor.info("gate") is None


async def test_what_a_device_says_in_words_can_be_shown():
    async def life(ready):
        ready(replace(INFO, model="Gate\x1b[2J\udcff", details={"note": "a\nb" * 10_000}))
        raise NotReady("\udcff lost" + "!" * 10_000)

    async with Watched(gate=Device(life)) as watched:
        await watched.turned("gate", DeviceState.RETRYING, "lost")
        assert watched.supervisor.info("gate").model == "Gate[2J"
        assert len(watched.supervisor.info("gate").details["note"]) == LONGEST_TEXT
        assert len(watched.supervisor.text("gate")) == LONGEST_TEXT


async def test_a_driver_that_cancels_its_own_task_stops_nobody():
    async def life(ready):
        asyncio.current_task().cancel()
        await asyncio.sleep(1)

    async with Watched(gate=Device(life, stays)) as watched:
        await watched.turned("gate", DeviceState.FAILED, "cancelled")
        await watched.turned("gate", DeviceState.READY)


@pytest.mark.parametrize("error", [ValueError("bad option"), SystemExit(1)])
async def test_a_driver_that_cannot_be_made_is_failed(error):
    def make(ready):
        raise error

    supervisor = Supervisor({"gate": Supervised(make)}, PATIENT)
    failed = asyncio.Event()
    supervisor.on_change(lambda id, state, text: failed.set() if state is DeviceState.FAILED else None)
    await supervisor.start()
    await asyncio.wait_for(failed.wait(), 60)
    assert type(error).__name__ in supervisor.text("gate")
    await supervisor.stop()


async def test_a_connection_that_hangs_is_given_up_and_tried_again():
    async with Watched(gate=Device(hangs, stays)) as watched:
        await watched.turned("gate", DeviceState.RETRYING, "not ready within 0.2 s")
        await watched.turned("gate", DeviceState.READY)


async def test_a_driver_that_ignores_its_cancellation_is_left_behind():
    Rude.stop = False
    watched = Watched(gate=Device(never_ends))
    with capture_logs() as logs:
        async with watched:
            await watched.turned("gate", DeviceState.READY)
    assert [line["device"] for line in logs if "left behind" in line["event"]] == ["gate"]
    (task,) = watched.supervisor._abandoned
    Rude.stop = True
    task.cancel()
    await asyncio.wait({task})
    assert watched.supervisor._abandoned == set()


async def test_a_driver_left_behind_cannot_speak_for_its_successor():
    spoken = []

    async def late(ready):
        spoken.append(ready)
        await asyncio.Event().wait()

    async with Watched(gate=Device(late, hangs)) as watched:
        await watched.until(lambda: watched.states("gate").count(DeviceState.LOADING) == 2)
        spoken[0](INFO)
        assert watched.supervisor.state("gate") is DeviceState.LOADING


async def test_restart_begins_a_new_life_at_once():
    gate = Device(stays)
    async with Watched(PATIENT, gate=gate) as watched:
        await watched.turned("gate", DeviceState.READY)
        await asyncio.gather(watched.supervisor.restart("gate"), watched.supervisor.restart("gate"))
        await watched.until(lambda: watched.states("gate").count(DeviceState.READY) == 2)
    assert len(gate.started) == 2


async def test_a_new_config_restarts_only_what_differs():
    kept, changed, gone, new = Device(stays), Device(stays), Device(stays), Device(stays)
    supervisor = Supervisor(
        {"a": kept.supervised(1), "b": changed.supervised(1), "c": gone.supervised(1)}, PATIENT
    )
    await supervisor.start()
    await asyncio.sleep(0.01)
    await supervisor.replace({"a": kept.supervised(1), "b": changed.supervised(2), "d": new.supervised(1)})
    async with asyncio.timeout(60):
        while any(state is not DeviceState.READY for state, _ in supervisor.states().values()):
            await asyncio.sleep(0.01)
    assert [len(device.started) for device in (kept, changed, gone, new)] == [1, 2, 1, 1]
    assert set(supervisor.states()) == {"a", "b", "d"}
    await supervisor.stop()


async def test_stop_ends_every_driver_and_leaves_nothing_running():
    before = asyncio.all_tasks()
    async with Watched(gate=Device(stays), lost=Device(raises(NotReady("x"))), slow=Device(hangs)) as watched:
        await watched.turned("gate", DeviceState.READY)
    assert asyncio.all_tasks() == before
    assert {state for state, _ in watched.supervisor.states().values()} == {DeviceState.PENDING}


async def test_a_listener_that_fails_stops_neither_the_device_nor_the_other_listeners():
    watched = Watched(gate=Device(stays))
    told = []

    def broken(*_):
        raise RuntimeError("listener")

    watched.supervisor._listeners.insert(0, broken)
    end = watched.supervisor.on_change(lambda *change: told.append(change))
    async with watched:
        await watched.turned("gate", DeviceState.READY)
        end()
    assert told == watched.changes[:2]
