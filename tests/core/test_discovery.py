"""From announcements, hostile as they may be, to a list of devices somebody could adopt."""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from menwei.announcement import ID, LONGEST, Service, clean, config_id, describe, template_trouble, usable
from menwei.discovery import Change, Discovery, merge
from menwei.manifest import Discovers, Manifest, Summary, VersionRange, ZeroconfRule
from menwei.mdns import SharedZeroconf, look_at_interfaces
from menwei.plugin import Finder
from menwei.reports import Discovered

pytestmark = pytest.mark.slow

LOOPBACK = ["127.0.0.1"]


def service_type():
    """One of its own for each test: the multicast group is shared by everybody on this machine."""
    return f"_mw-{os.urandom(4).hex()}._tcp.local."


def rule(type="_gate._tcp.local.", **changes):
    facts = {
        "type": type,
        "driver": "gatekit",
        "id": "{txt.serial}",
        "title": "{txt.model} {name}",
        "config": {"host": "{address}", "port": "{port}", "key": "{txt.key}", "tls": True},
    }
    return ZeroconfRule.model_validate(facts | changes)


def manifest(*rules):
    return Manifest(
        name="gatekit",
        version="1",
        api=VersionRange.parse(">=1"),
        summary=Summary(zh="门", en="gate"),
        discovers=Discovers(zeroconf=rules),
    )


def service(txt=None, addresses=("10.0.0.7",), port=4000, name="Gate 1._gate._tcp.local.", loopback=False):
    txt = {b"serial": b"A1", b"model": b"GK-2"} if txt is None else txt
    return Service.of("_gate._tcp.local.", name, "gate1.local.", addresses, port, txt, loopback)


# ------------------------------------------------------------------------------------------------- TXT → Discovered


def test_an_announcement_becomes_a_device_by_the_manifests_templates():
    device = describe(rule(), service(), "mdns")
    assert device == Discovered(
        id="A1",
        driver="gatekit",
        title="GK-2 Gate 1",
        address="10.0.0.7",
        finder="mdns",
        config={"host": "10.0.0.7", "port": 4000, "tls": True},
        properties={"serial": "A1", "model": "GK-2"},
    )


def test_a_device_that_does_not_say_who_it_is_is_not_proposed():
    assert describe(rule(), service({b"model": b"GK-2"}), "mdns") is None


@pytest.mark.parametrize(
    ("where", "meant"),
    [
        ({"model": "gk-*"}, True),
        ({"model": ["x*", "GK-2"]}, True),
        ({"model": "gx*"}, False),
        ({"colour": "*"}, False),
        ({"{name}": "gate*"}, True),
        ({"model": "gk-*", "serial": "B*"}, False),
    ],
)
def test_where_says_which_announcements_are_meant(where, meant):
    assert (describe(rule(where=where), service(), "mdns") is not None) is meant


def test_keys_of_txt_records_have_no_case_and_the_first_one_counts():
    device = describe(rule(), service({b"SERIAL": b"A1", b"serial": b"B2"}), "mdns")
    assert device is not None
    assert device.id == "A1"


@pytest.mark.parametrize(
    "id", [b"../../etc", b"a/b", b"-rf", b"", b"a b", b"\xff", b"x" * 65, "门".encode(), b"a\n"]
)
def test_an_id_that_could_not_stand_in_a_config_is_no_device(id):
    assert ID.fullmatch(id.decode("utf-8", "replace")) is None
    device = describe(rule(), service({b"serial": id}), "mdns")
    assert device is None or device.id == id.decode().strip()


def test_escape_sequences_and_turned_text_do_not_reach_a_terminal():
    device = describe(
        rule(), service({b"serial": b"A1", b"model": b"\x1b[2Jgate\x00\r\n\xe2\x80\xae"}), "mdns"
    )
    assert device is not None
    assert device.title == "[2Jgate Gate 1"


@pytest.mark.parametrize(
    ("addresses", "loopback", "kept"),
    [
        (["127.0.0.1", "10.0.0.7"], False, ("10.0.0.7",)),
        (["127.0.0.1"], True, ("127.0.0.1",)),
        (["::1", "::ffff:127.0.0.1", "224.0.0.251", "0.0.0.0", "nonsense", "255.255.255.255"], False, ()),
        (["fe80::1%eth0", "10.0.0.7"], False, ("10.0.0.7", "fe80::1%eth0")),
    ],
)
def test_nobody_can_have_the_site_adopt_this_machine_itself(addresses, loopback, kept):
    assert usable(addresses, loopback) == kept


def test_a_misspelt_placeholder_is_a_mistake_of_the_manifest():
    assert "{adress}" in template_trouble("{adress}")
    assert template_trouble("{address") == "a brace has no partner"
    assert template_trouble("{address}:{port} {txt.a-b} {name} {host}") == ""


hostile = st.one_of(
    st.binary(max_size=300), st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
ids = st.one_of(hostile, st.sampled_from([b"A1", b"aa:bb", b"x" * 64]))


@given(
    txt=st.dictionaries(hostile, st.none() | hostile, max_size=8),
    serial=st.none() | ids,
    model=hostile,
    name=st.text(max_size=100),
    host=st.none() | st.text(max_size=100),
    addresses=st.lists(st.ip_addresses().map(str) | st.text(max_size=20), max_size=4),
    port=st.none() | st.integers(-1, 70000),
)
def test_whatever_is_announced_the_device_is_bounded_and_clean(
    txt, serial, model, name, host, addresses, port
):
    told = {**txt, b"serial": serial, b"model": model}
    seen = Service.of("_gate._tcp.local.", name, host, addresses, port, told)
    device = describe(rule(where={"model": "*"}), seen, "mdns")
    if device is None:
        return
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", device.id)
    assert device.config.get("port", 1) in range(1, 65536)
    assert len(device.properties) <= 64
    texts = [device.title, device.address, *device.properties, *device.properties.values()]
    texts += [value for value in device.config.values() if isinstance(value, str)]
    for text in texts:
        assert len(text) <= LONGEST
        assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)
    assert re.fullmatch(r"[a-z0-9-]*", config_id(device.id))


@given(st.text() | st.binary())
def test_cleaning_twice_changes_nothing(text):
    assert clean(clean(text)) == clean(text)


# -------------------------------------------------------------------------------------------------- several finders


def seen(id="A1", finder="mdns", driver="gatekit", **config):
    return Discovered(id, driver, "Gate", "10.0.0.7", finder, config, {"seen by": finder})


def test_a_device_that_two_finders_see_is_one():
    one = merge([seen(host="10.0.0.7", port=1), seen(finder="udp", port=2, serial="A1")])
    assert (one.finder, one.config) == ("mdns+udp", {"host": "10.0.0.7", "port": 1, "serial": "A1"})


def test_a_finder_that_takes_it_for_another_drivers_device_adds_no_settings():
    one = merge([seen(host="10.0.0.7"), seen(finder="udp", driver="other", token="x")])
    assert (one.driver, one.config) == ("gatekit", {"host": "10.0.0.7"})


class Told:
    """What a discovery told, with waiting."""

    def __init__(self, discovery):
        self.changes = []
        self._event = asyncio.Event()
        discovery.listen(self)

    def __call__(self, change, device):
        self.changes.append((change, device.id))
        self._event.set()

    async def until(self, seen, seconds=60):
        async with asyncio.timeout(seconds):
            while not seen():
                self._event.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._event.wait(), 0.1)


def finder(proposals, then=None):
    class Listed(Finder):
        """Proposes a list. A fake: what a finder proposes at its worst cannot be ordered from a real one."""

        name = "listed"

        async def find(self, propose):
            for device in proposals:
                propose(device)
            if then is not None:
                raise then
            await asyncio.Event().wait()

    return Listed


@contextlib.asynccontextmanager
async def looking(*args, **kwargs):
    discovery = Discovery(*args, **kwargs)
    told = Told(discovery)
    await discovery.start()
    try:
        yield discovery, told
    finally:
        await discovery.stop()


async def test_a_plugins_finder_is_heard_with_its_true_name_and_wakes_the_supervisor():
    woken = []
    finders = [finder([seen(id="AA:BB", finder="mdns")])]
    async with looking(LOOPBACK, finders, {}, wake=woken.append, now=lambda: 42.0) as (discovery, told):
        await told.until(lambda: told.changes)
        assert discovery.devices["AA:BB"].finder == "listed"
        assert discovery.last_seen == {"AA:BB": 42.0}
        assert woken == ["aa-bb"]


async def test_a_proposal_that_could_not_stand_in_a_config_is_left_out():
    finders = [finder([seen(id="../up"), seen(driver="a b"), seen(id="B2")])]
    async with looking(LOOPBACK, finders, {}) as (discovery, told):
        await told.until(lambda: told.changes)
        assert set(discovery.devices) == {"B2"}


async def test_a_device_is_told_once_however_often_it_is_seen():
    finders = [finder([seen(), seen(), seen(host="10.0.0.8"), seen(id="B2")])]
    async with looking(LOOPBACK, finders, {}) as (_, told):
        await told.until(lambda: len(told.changes) == 3)
    assert told.changes == [(Change.FOUND, "A1"), (Change.CHANGED, "A1"), (Change.FOUND, "B2")]


@pytest.mark.parametrize("error", [RuntimeError("no socket"), SystemExit(1), asyncio.CancelledError(), None])
async def test_a_finder_that_fails_is_named_and_tried_again(error):
    proposals = [seen()] if error else ["not a device"]
    async with looking(LOOPBACK, [finder(proposals, error)], {}, retry=0.01) as (discovery, told):
        named = lambda: [r for r in discovery.repairs() if r.message == "discovery.finder_failed"]  # noqa: E731
        await told.until(named)
        assert named()[0].values["finder"] == "listed"
        assert type(error or TypeError()).__name__ in named()[0].values["detail"]


async def test_the_list_cannot_be_filled_without_end():
    with capture_logs() as logs:
        async with looking(LOOPBACK, [finder([seen(id=str(n)) for n in range(1200)])], {}) as (
            discovery,
            told,
        ):
            await told.until(lambda: len(told.changes) >= 1000)
            assert len(discovery.devices) == 1000
    assert [line["most"] for line in logs if line["event"].startswith("more devices")] == [1000]


async def test_a_listener_that_fails_does_not_end_the_finding():
    discovery = Discovery(LOOPBACK, [finder([seen(), seen(id="B2")])], {})
    discovery.listen(lambda *_: 1 / 0)
    told = Told(discovery)
    await discovery.start()
    await told.until(lambda: len(told.changes) == 2)
    await discovery.stop()


# ------------------------------------------------------------------------------------------------------------- mDNS


@contextlib.asynccontextmanager
async def announced(*infos):
    """Services announced on loopback by another instance of zeroconf."""
    responder = AsyncZeroconf(interfaces=LOOPBACK)
    try:
        yield responder
        for info in infos:
            await (await responder.async_register_service(info, cooperating_responders=True))
    finally:
        await responder.async_close()


def info(type, name="gate1", port=4000, address="127.0.0.1", **txt):
    return AsyncServiceInfo(
        type,
        f"{name}.{type}",
        port=port,
        parsed_addresses=[address],
        server=f"{name}-{os.getpid()}.local.",
        properties=txt,
    )


async def register(responder, service_info):
    await (await responder.async_register_service(service_info, cooperating_responders=True))


async def test_an_empty_config_discovers_what_the_installed_manifests_describe():
    type = service_type()
    async with (
        announced() as responder,
        looking(LOOPBACK, (), {"gatekit": manifest(rule(type))}) as (discovery, told),
    ):
        await register(responder, info(type, serial="A1", model="GK-2"))
        await told.until(lambda: "A1" in discovery.devices)
        device = discovery.devices["A1"]
        assert (device.address, device.config["port"], device.title) == ("127.0.0.1", 4000, "GK-2 gate1")


async def test_a_device_that_was_there_before_is_found_too():
    type = service_type()
    async with announced() as responder:
        await register(responder, info(type, serial="A1", model="x"))
        async with looking(LOOPBACK, (), {"gatekit": manifest(rule(type))}) as (discovery, told):
            await told.until(lambda: "A1" in discovery.devices)


async def test_a_device_that_says_goodbye_is_gone():
    type = service_type()
    async with (
        announced() as responder,
        looking(LOOPBACK, (), {"gatekit": manifest(rule(type))}) as (discovery, told),
    ):
        here = info(type, serial="A1", model="x")
        await register(responder, here)
        await told.until(lambda: "A1" in discovery.devices)
        await (await responder.async_unregister_service(here))
        await told.until(lambda: "A1" not in discovery.devices)
    assert told.changes == [(Change.FOUND, "A1"), (Change.GONE, "A1")]


async def test_an_unchanged_announcement_wakes_the_supervisor_again():
    type = service_type()
    woken = []
    manifests = {"gatekit": manifest(rule(type))}
    async with announced() as responder, looking(LOOPBACK, (), manifests, wake=woken.append) as (_, told):
        here = info(type, serial="A1", model="x")
        await register(responder, here)
        await told.until(lambda: woken)
        await asyncio.sleep(1.1)  # announcements are repeated after a second by themselves
        before = len(woken)
        await (await responder.async_update_service(here))
        await told.until(lambda: len(woken) > before)
    assert told.changes == [(Change.FOUND, "A1")]


async def test_nobody_can_put_himself_in_the_place_of_a_known_device():
    type = service_type()
    with capture_logs() as logs:
        async with (
            announced() as responder,
            looking(LOOPBACK, (), {"g": manifest(rule(type))}) as (discovery, told),
        ):
            await register(responder, info(type, serial="A1", model="x"))
            await told.until(lambda: "A1" in discovery.devices)
            await register(responder, info(type, "thief", address="127.0.0.9", serial="A1", model="x"))
            await told.until(lambda: any("same device" in line["event"] for line in logs))
            assert discovery.devices["A1"].address == "127.0.0.1"


async def test_a_plugin_cannot_close_the_shared_instance():
    type = service_type()
    async with (
        announced() as responder,
        looking(LOOPBACK, (), {"gatekit": manifest(rule(type))}) as (discovery, told),
    ):
        shared = discovery.zeroconf
        async with shared:
            await shared.async_remove_all_service_listeners()
            await shared.async_unregister_all_services()
        shared.zeroconf.close()
        assert not shared.zeroconf.done
        await register(responder, info(type, serial="A1", model="x"))
        await told.until(lambda: "A1" in discovery.devices)
    assert shared.zeroconf.done


async def test_the_owner_closes_it():
    shared = SharedZeroconf(LOOPBACK)
    await shared.close_for_all()
    assert shared.zeroconf.done


# ------------------------------------------------------------------------------------------------------- interfaces


def test_an_address_this_machine_does_not_have_is_named_with_those_it_has():
    seen = look_at_interfaces(["127.0.0.1", "198.51.100.7"])
    assert seen.addresses == ("127.0.0.1",)
    (repair,) = seen.repairs
    assert (repair.message, repair.values["address"]) == ("discovery.no_address", "198.51.100.7")
    assert "127.0.0.1" in repair.values["present"]


IN_NAMESPACE = """
import asyncio
from menwei.discovery import Discovery
from menwei.messages import t

async def main():
    discovery = Discovery({interfaces}, (), {{}}, retry=0.05)
    await discovery.start()
    for repair in discovery.repairs():
        print(t("en", repair.message, **repair.values), flush=True)
    print("started without", discovery.zeroconf is None, flush=True)
    import subprocess
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    async with asyncio.timeout(60):
        while discovery.zeroconf is None:
            await asyncio.sleep(0.05)
    print("opened later", discovery.repairs(), flush=True)
    await discovery.stop()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("interfaces", "sentence"),
    [(LOOPBACK, "The loopback interface is switched off"), ([], "No network interface is switched on")],
)
def test_where_lo_is_down_a_sentence_says_so_and_it_is_tried_again(interfaces, sentence):
    command = ["unshare", "--net", sys.executable, "-c", IN_NAMESPACE.format(interfaces=interfaces)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    except FileNotFoundError:
        pytest.skip("unshare is not installed (util-linux)")
    if "unshare failed" in done.stderr:
        pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")
    assert sentence in done.stdout
    assert "started without True" in done.stdout
    assert "opened later []" in done.stdout, done.stderr


def test_the_loopback_interface_of_this_machine_is_seen_up():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
    assert look_at_interfaces(LOOPBACK).repairs == ()
