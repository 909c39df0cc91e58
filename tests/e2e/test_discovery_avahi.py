"""Real responders this project did not write: avahi-daemon in a network of its own, and zeroconf in another process."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

MANIFEST = """\
name: gatekit
version: 1.0.0
api: ">=1,<2"
summary: {{zh: 门, en: gate}}
discovers:
  zeroconf:
    - type: {type}
      driver: gatekit
      id: "{{txt.serial}}"
      title: "{{txt.model}} {{name}}"
      config: {{host: "{{address}}", port: "{{port}}"}}
      where: {{model: "GK-*"}}
"""

LOOK = """
import asyncio, dataclasses, json, sys
from pathlib import Path
from menwei.discovery import Discovery
from menwei.manifest import read

async def main(interfaces, manifest):
    discovery = Discovery(interfaces, (), {"gatekit": read(Path(manifest))})
    discovery.listen(lambda change, device: print(json.dumps([change, dataclasses.asdict(device)]), flush=True))
    await discovery.start()
    for repair in discovery.repairs():
        print(json.dumps(["repair", repair.message]), flush=True)
    await asyncio.sleep(600)

asyncio.run(main(json.loads(sys.argv[1]), sys.argv[2]))
"""

ANNOUNCE = """
import asyncio, sys
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

async def main(type):
    responder = AsyncZeroconf(interfaces=["127.0.0.1"])
    for name, model in (("front", b"GK-2"), ("printer", b"LP-9")):
        info = AsyncServiceInfo(type, f"{name}.{type}", port=4000, parsed_addresses=["127.0.0.1"],
                                server=f"{name}.local.", properties={"serial": name, "model": model})
        await (await responder.async_register_service(info, cooperating_responders=True))
    await asyncio.to_thread(sys.stdin.read)
    await responder.async_unregister_all_services()
    await responder.async_close()

asyncio.run(main(sys.argv[1]))
"""

SERVICE = """\
<?xml version="1.0" standalone='no'?><!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group>
  <name>{name}</name>
  <service>
    <type>_gatekit._tcp</type>
    <port>{port}</port>
    <txt-record>serial={serial}</txt-record>
    <txt-record>model={model}</txt-record>
  </service>
</service-group>
"""

AVAHI = """\
[server]
host-name=street
use-ipv4=yes
use-ipv6=no
allow-interfaces={interfaces}
enable-dbus=no
disallow-other-stacks=no
[wide-area]
enable-wide-area=no
[publish]
publish-workstation=no
publish-hinfo=no
"""


@contextlib.contextmanager
def running(command, **options):
    """A process that is ended, by its own id, when the block is left."""
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def looking(prefix, interfaces, manifest, log):
    """The discovery of this project in a process of its own; what it tells is a file of JSON lines."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*prefix, sys.executable, "-c", LOOK, json.dumps(interfaces), str(manifest)]
    with (
        log.open("w") as out,
        running(command, stdout=out, stderr=subprocess.STDOUT, env=environment) as process,
    ):
        yield process


def told(log, wanted, seconds=110):
    """Wait until `wanted(lines)` is true of what was told; returns the lines."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("[")]
        if wanted(lines):
            return lines
        time.sleep(0.1)
    raise AssertionError(f"not told within {seconds} s; so far:\n{log.read_text()}")


def ids(lines, change="found"):
    return {line[1]["id"] for line in lines if line[0] == change}


def test_a_device_announced_by_another_process_on_loopback_is_found_and_goes(tmp_path):
    service_type = f"_mw-{os.urandom(4).hex()}._tcp.local."
    manifest = tmp_path / "menwei-plugin.yaml"
    manifest.write_text(MANIFEST.format(type=service_type), encoding="utf-8")
    log = tmp_path / "told"
    announcer = [sys.executable, "-c", ANNOUNCE, service_type]
    with looking([], ["127.0.0.1"], manifest, log), running(announcer, stdin=subprocess.PIPE) as process:
        lines = told(log, lambda lines: ids(lines))
        device = lines[0][1]
        assert (device["id"], device["title"]) == ("front", "GK-2 front")
        assert device["config"] == {"host": "127.0.0.1", "port": 4000}
        process.stdin.close()
        lines = told(log, lambda lines: ids(lines, "gone"))
    assert ids(lines) == {"front"}  # the printer is not what the manifest means


# ------------------------------------------------------------------------------------------------------------- avahi


def needed():
    """What is missing for avahi in a network of its own, as a sentence; "" when everything is there."""
    for program, package in (
        ("avahi-daemon", "avahi-daemon"),
        ("ip", "iproute2"),
        ("unshare", "util-linux"),
        ("mount", "mount"),
    ):
        if shutil.which(program) is None:
            return f"{program} is not installed (apt-get install --no-install-recommends {package})"
    if os.geteuid() != 0:
        return "a network namespace with a second interface needs root"
    probe = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, text=True)
    return f"no namespace can be made here: {probe.stderr.strip()}" if probe.returncode else ""


@pytest.fixture
def street():
    """Two network namespaces joined by a cable, as site and street; yields the commands that run something in each."""
    if missing := needed():
        pytest.skip(f"avahi is not asked: {missing}")
    mark = os.urandom(3).hex()
    site, other = f"mw-site-{mark}", f"mw-street-{mark}"
    made = []
    try:
        for name in (site, other):
            subprocess.run(["ip", "netns", "add", name], check=True)
            made.append(name)
        cable = [
            "ip",
            "link",
            "add",
            "eth0",
            "netns",
            site,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            other,
        ]
        subprocess.run(cable, check=True)
        for name, address in ((site, "10.77.0.1/24"), (other, "10.77.0.2/24")):
            for command in (f"addr add {address} dev eth0", "link set eth0 up", "link set lo up"):
                subprocess.run(["ip", "-n", name, *command.split()], check=True)
        yield ["ip", "netns", "exec", site], ["ip", "netns", "exec", other]
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "delete", name], check=True)


@contextlib.contextmanager
def avahi(prefix, folder: Path, interfaces, services):
    """avahi-daemon with these static services, its folders bound over /etc/avahi and /run in a mount namespace."""
    etc = folder / "avahi"
    (etc / "services").mkdir(parents=True)
    (folder / "run").mkdir()
    (etc / "avahi-daemon.conf").write_text(AVAHI.format(interfaces=interfaces))
    for name, values in services.items():
        (etc / "services" / f"{name}.service").write_text(
            SERVICE.format(name=name, **values), encoding="utf-8"
        )
    script = (
        'set -e; mount --make-rprivate /; mkdir -p /etc/avahi; mount --bind "$1" /etc/avahi; '
        'mount --bind "$2" /run; exec avahi-daemon --no-drop-root --no-rlimits --no-chroot'
    )
    command = [*prefix, "unshare", "--mount", "sh", "-c", script, "sh", str(etc), str(folder / "run")]
    with (
        (folder / "avahi.log").open("w") as log,
        running(command, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        yield process


def test_what_avahi_announces_in_the_street_is_found(street, tmp_path):
    site, other = street
    manifest = tmp_path / "menwei-plugin.yaml"
    manifest.write_text(MANIFEST.format(type="_gatekit._tcp.local."), encoding="utf-8")
    log = tmp_path / "told"
    services = {
        "小区门": {"serial": "GK0001", "model": "GK-2", "port": 4001},
        "back": {"serial": "GK0002", "model": "GK-2", "port": 4002},
        "printer": {"serial": "LP0003", "model": "LP-9", "port": 631},
        "evil": {"serial": "../../etc", "model": "GK-2", "port": 4003},
    }
    with looking(site, ["10.77.0.1"], manifest, log):
        with avahi(other, tmp_path / "daemon", "eth0", services):
            try:
                lines = told(log, lambda lines: len(ids(lines)) == 2)
            except AssertionError as error:
                raise AssertionError(
                    f"{error}\navahi says:\n{(tmp_path / 'daemon' / 'avahi.log').read_text()}"
                ) from None
            devices = {line[1]["id"]: line[1] for line in lines if line[0] == "found"}
            assert devices["GK0001"]["title"] == "GK-2 小区门"
            assert devices["GK0001"]["config"] == {"host": "10.77.0.2", "port": 4001}
        lines = told(log, lambda lines: len(ids(lines, "gone")) == 2)  # avahi says goodbye
    assert ids(lines) == {"GK0001", "GK0002"}
