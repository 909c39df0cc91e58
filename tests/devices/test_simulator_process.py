"""The simulated controllers as a process of its own: started, announced, killed and ended."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import pytest
from zeroconf import ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from menwei.announcement import Service, describe
from menwei.manifest import read
from menwei_simulator import announcement
from menwei_simulator.announcement import SERVICE_TYPE
from menwei_simulator.controller import ControllerSpec
from menwei_simulator.driver import SimulatorConfig, SimulatorDriver
from menwei_simulator.protocol import AccessCommand, Role
from menwei_simulator.pulselog import Cause, read_pulses
from menwei_simulator.session import Session
from peers.street import Street

pytestmark = pytest.mark.e2e

BOUND = 60.0


async def test_every_controller_of_the_street_is_seen_by_mdns(tmp_path: Path) -> None:
    specs = [
        ControllerSpec(f"mdns-{number}", locks=("1", "2"), readers=("in",), model="Gate")
        for number in range(4)
    ]
    async with Street(tmp_path, specs, announce=True) as street:
        found = await resolve({spec.id for spec in specs})
    for spec in specs:
        info = found[spec.id]
        assert info.port == street.addresses[spec.id].port
        assert info.parsed_addresses() == ["127.0.0.1"]
        assert info.decoded_properties == {
            "id": spec.id,
            "model": "Gate",
            "version": spec.version,
            "locks": "1,2",
            "readers": "in",
        }


async def test_its_announcement_and_manifest_make_a_config_that_reaches_it(tmp_path: Path) -> None:
    async with Street(tmp_path, [ControllerSpec("mdns-adopt", model="Gate")], announce=True) as street:
        info = (await resolve({"mdns-adopt"}))["mdns-adopt"]
        (rule,) = read(Path(announcement.__file__).parent / "menwei-plugin.yaml").discovers.zeroconf
        service = Service.of(
            rule.type,
            info.name,
            info.server,
            info.parsed_addresses(),
            info.port,
            info.properties,
            loopback=True,
        )
        device = describe(rule, service, "zeroconf")
        assert device is not None
        assert (device.id, device.driver, device.title) == ("mdns-adopt", "simulator", "Gate mdns-adopt")
        config = SimulatorConfig.model_validate(device.config)
        assert config.port == street.addresses["mdns-adopt"].port
        assert (await SimulatorDriver.probe(config)).id == "mdns-adopt"


async def test_a_restarted_controller_announces_itself_again(tmp_path: Path) -> None:
    async with Street(tmp_path, [ControllerSpec("mdns-again")], announce=True) as street:
        await street.at().restart(0.1)
        info = (await resolve({"mdns-again"}))["mdns-again"]
        assert info.port == street.addresses["mdns-again"].port


async def resolve(ids: set[str]) -> dict[str, AsyncServiceInfo]:
    """What an independent mDNS client on 127.0.0.1 learns about these controllers. Others may be announced there too, by
    other tests, and be gone before they could be asked."""
    names = {f"{id}.{SERVICE_TYPE}": id for id in ids}
    seen: asyncio.Queue[str] = asyncio.Queue()

    def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        if state_change is not ServiceStateChange.Removed and name in names:
            seen.put_nowait(name)

    found: dict[str, AsyncServiceInfo] = {}
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as client, asyncio.timeout(BOUND):
        browser = AsyncServiceBrowser(client.zeroconf, SERVICE_TYPE, handlers=[changed])
        while ids - found.keys():
            name = await seen.get()
            info = AsyncServiceInfo(SERVICE_TYPE, name)
            if await info.async_request(client.zeroconf, 5000):
                found[names[name]] = info
            else:  # on a busy machine it has not answered in time: asked again
                seen.put_nowait(name)
        await browser.async_cancel()
    return found


async def test_every_acknowledged_pulse_is_in_the_log_after_kill_9(tmp_path: Path) -> None:
    async with Street(tmp_path, [ControllerSpec("sim-gate")]) as street:
        address = street.addresses["sim-gate"]
        session = await Session.connect(address.host, address.port, "", Role.SERVE, BOUND, time.monotonic)
        serving = asyncio.create_task(session.serve(BOUND, lambda event, happened: None))
        acknowledged: list[str] = []

        async def command_until_it_dies() -> None:
            for number in range(1_000_000):
                passage = f"yard/1/{number}"

                def command(id: int, sent: int, expires_in: int, passage: str = passage) -> AccessCommand:
                    return AccessCommand(id, "1", 1.0, sent, expires_in, passage)

                await session.command(command, time.monotonic() + 5)
                acknowledged.append(passage)
                if number == 30:
                    enough.set()

        enough = asyncio.Event()
        commanding = asyncio.create_task(command_until_it_dies())
        async with asyncio.timeout(BOUND):
            await enough.wait()
        await street.kill()
        await asyncio.wait({commanding, serving}, timeout=BOUND)
        assert commanding.done()
        assert serving.done()
        assert commanding.exception() is not None
        assert serving.exception() is not None
        session.close()
        logged = [pulse.passage for pulse in street.pulses()]
        # At most the pulse that was on its way when the device died was logged and not acknowledged.
        assert logged[: len(acknowledged)] == acknowledged
        assert len(logged) - len(acknowledged) in (0, 1)

        await street.start()
        assert street.addresses["sim-gate"] == address
        await street.at().press_exit()
        assert await street.at().walk_through(wait=BOUND)
    assert [pulse.index for pulse in street.pulses(cause=None)] == list(range(1, len(logged) + 2))


async def test_sigterm_ends_it_cleanly_with_its_log_complete(tmp_path: Path) -> None:
    async with Street(tmp_path, [ControllerSpec("sim-gate")]) as street:
        await street.at().press_exit()
        assert await street.stop() == 0
        assert [pulse.cause for pulse in street.pulses(cause=None)] == [Cause.EXIT]


async def run(*options: str) -> tuple[int | None, str, str]:
    """The command with these options until it ends."""
    process = await start(*options)
    async with asyncio.timeout(BOUND):
        out, err = await process.communicate(b"")  # closes its standard input
    return process.returncode, out.decode(), err.decode()


async def start(*options: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-c", "import sys; sys.path[:0] = sys.argv.pop(1).split('|'); import runpy; "]
    command[-1] += "runpy.run_module('menwei_simulator.device', run_name='__main__', alter_sys=True)"
    return await asyncio.create_subprocess_exec(
        *command, "|".join(sys.path), *options, stdin=pipe, stdout=pipe, stderr=pipe
    )


async def test_the_options_make_one_controller_or_several(tmp_path: Path) -> None:
    process = await start(
        "--id", "unit", "--count", "2", "--no-announce", "--pulse-log", str(tmp_path / "pulses")
    )
    assert process.stdout is not None
    async with asyncio.timeout(BOUND):
        ready = json.loads(await process.stdout.readline())
    assert ready["pid"] == process.pid
    assert [controller["id"] for controller in ready["controllers"]] == ["unit-1", "unit-2"]
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(BOUND):
        assert await process.wait() == 0


async def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    code, out, _ = await run("--until-eof", "--no-announce", "--pulse-log", str(tmp_path / "pulses"))
    assert code == 0
    assert json.loads(out)["ready"] is True


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--id", "two words"], 2, "'two words' is no name"),
        (["--controller", "{}"], 2, "id"),
        (["--controller", '{"id": "a"}', "--controller", '{"id": "a"}'], 2, "same id"),
        (["--interface", "203.0.113.9"], 1, "interface"),
        (["--pulse-log", "/nowhere/at/all"], 1, "/nowhere/at/all"),
    ],
)
async def test_what_cannot_be_started_is_said_in_a_sentence(
    tmp_path: Path, options: list[str], code: int, says: str
) -> None:
    ended, _, error = await run("--no-announce", "--pulse-log", str(tmp_path / "pulses"), *options)
    assert ended == code
    assert says in error
    assert "Traceback" not in error


async def test_a_probe_reaches_the_separate_process(tmp_path: Path) -> None:
    async with Street(tmp_path, [ControllerSpec("sim-gate", readers=("in",))]) as street:
        address = street.addresses["sim-gate"]
        info = await SimulatorDriver.probe(SimulatorConfig(host=address.host, port=address.port))
    assert (info.id, info.locks, info.readers) == ("sim-gate", ("1",), ("in",))
    assert read_pulses(street.pulse_log) == []
