"""Adopting a device: tested first, then written in one step into `adopted.yaml`, the installer's files untouched."""

import asyncio
import multiprocessing
import os
import re
import signal
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr

from menwei import cli, yamlfile
from menwei.adopted_file import HEADER, SECRETS_HEADER, Adopted, Secret, dump, insert, remove
from menwei.adoption import AdoptionError, NewDoor, adopt, doors_from_options, forget, probe
from menwei.config import build_site, load
from menwei.context import AuthFailed, Config, NotReady
from menwei.model import DeviceInfo, DoorForm
from menwei.plugin import Driver
from menwei.reports import Discovered

INFO = DeviceInfo("A1", "GK-2", locks=("1", "2"), readers=("in", "out"))
GATE = NewDoor("gate", "小区门", "1", {"gate-in": "in"})


class Gate(Driver):
    """A driver whose connection test answers what the test asks for. A fake: real ones are tested with their devices."""

    name = "gatekit"
    answer: object = INFO

    class Config(Config):
        host: str
        port: int = 4000
        tls: bool = False
        password: SecretStr | None = None
        codes: dict[str, SecretStr] = Field(default_factory=dict)

    @classmethod
    async def probe(cls, config):
        if isinstance(cls.answer, BaseException):
            raise cls.answer
        if cls.answer == "swallow":
            while True:
                try:
                    await asyncio.sleep(0.2)
                    return INFO
                except asyncio.CancelledError:
                    continue
        return cls.answer

    async def run(self): ...
    async def access(self, lock, seconds, deadline, *, passage=""): ...
    async def set_mode(self, lock, mode, deadline): ...


def answering(answer):
    return type("Answering", (Gate,), {"answer": answer})


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("site: {id: yard, name: 示范小区}\nplugins:\n  gatekit:\n", encoding="utf-8")
    return path


def adopted(config):
    return config.with_name("adopted.yaml")


def refusal(caught):
    return caught.value.text("en")


async def test_what_was_adopted_is_what_the_config_says_afterwards(config):
    found = Discovered(
        "AC:CC:8E:01", "gatekit", "Gate", "10.0.0.7", "mdns", {"host": "10.0.0.7", "port": 4001}, {}
    )
    done = await adopt(found, Gate, config, doors=[GATE])
    assert (done.id, done.info, done.doors) == ("ac-cc-8e-01", INFO, ("gate",))
    loaded = load(config)
    assert loaded.problems == ()
    assert loaded.options(("devices", "ac-cc-8e-01")) == {"host": "10.0.0.7", "port": 4001}
    gate = loaded.config.doors["gate"]
    assert (gate.name, gate.lock) == ("小区门", "ac-cc-8e-01/1")
    assert gate.access_points["gate-in"].readers == ["ac-cc-8e-01/in"]


async def test_the_file_says_who_writes_it_and_the_installers_file_is_untouched(config):
    before = config.read_bytes()
    await adopt({"host": "h"}, Gate, config, id="gate-1")
    assert adopted(config).read_text(encoding="utf-8").startswith("# Written by `menwei adopt`")
    assert config.read_bytes() == before


async def test_comments_order_and_secrets_of_an_edited_file_stay(config):
    await adopt({"host": "h", "password": "p"}, Gate, config, id="gate-1", doors=[GATE])
    edited = (
        adopted(config).read_text(encoding="utf-8").replace("  gate-1:", "  # by the bins\n  gate-1:  # left")
    )
    adopted(config).write_text(edited, encoding="utf-8")
    await adopt({"host": "h2"}, Gate, config, id="gate-2", doors=[NewDoor("back", "后门", "2")])
    text = adopted(config).read_text(encoding="utf-8")
    assert "  # by the bins\n  gate-1:  # left\n" in text
    assert "password: !secret 'gate-1.password'" in text
    assert list(load(config).config.devices) == ["gate-1", "gate-2"]
    await forget(config, "gate-2")
    assert adopted(config).read_text(encoding="utf-8") == edited


async def test_a_secret_is_a_reference_and_its_file_is_for_one_user(config):
    settings = {"host": "h", "codes": {"lift": "0042"}}
    done = await adopt(settings, Gate, config, id="gate-1", settings={"password": 'p"1: \n#'})
    assert done.secrets == ("gate-1.password", "gate-1.codes.lift")
    text = adopted(config).read_text(encoding="utf-8")
    assert 'p"1' not in text
    assert "0042" not in text
    secrets = config.parent / "var" / "secrets.yaml"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    options = load(config).options(("devices", "gate-1"))
    assert (options["password"], options["codes"]) == ('p"1: \n#', {"lift": "0042"})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (NotReady("no route to host"), "cannot be reached: no route to host"),
        (AuthFailed("wrong key"), "refused the secret: wrong key"),
        (ZeroDivisionError("x"), "connection test of the driver gatekit failed: ZeroDivisionError: x"),
        (SystemExit(3), "connection test of the driver gatekit failed"),
        (None, "probe() returned NoneType"),
        ("swallow", "did not answer within 0.05 s"),
    ],
)
async def test_a_device_that_fails_its_connection_test_is_not_written(config, answer, said):
    with pytest.raises(AdoptionError) as caught:
        await adopt({"host": "h", "password": "p"}, answering(answer), config, id="gate-1", probe_time=0.05)
    assert said in refusal(caught)
    assert sorted(file.name for file in config.parent.iterdir()) == ["config.yaml"]


async def test_an_id_that_is_taken_is_refused_with_every_place_it_stands_at(config):
    await adopt({"host": "h"}, Gate, config, id="gate-1", doors=[GATE])
    config.write_text(
        "plugins: {gatekit: }\ndevices:\n  gate-1: {driver: gatekit, host: x}\n", encoding="utf-8"
    )
    before = adopted(config).read_bytes()
    with pytest.raises(AdoptionError) as caught:
        await adopt(
            {"host": "h"}, answering(AssertionError("not even asked")), config, id="gate-1", doors=[GATE]
        )
    assert refusal(caught).splitlines() == [
        f"gate-1 is there already: {config}:3:3",
        f"gate-1 is there already: {adopted(config)}:6:3",
        f"gate is there already: {adopted(config)}:11:3",
    ]
    assert adopted(config).read_bytes() == before


async def test_settings_that_the_driver_does_not_take_are_named_and_passwords_are_not_repeated(config):
    with pytest.raises(AdoptionError) as caught:
        await adopt({"hots": "h", "password": ["hunter2"]}, Gate, config, id="gate-1")
    assert {line.split(":")[0] for line in refusal(caught).splitlines()} == {"host", "hots", "password"}
    assert "hunter2" not in refusal(caught)


@pytest.mark.parametrize("id", ["", "Gate 1", "../x", "a" * 65, "a\n"])
async def test_an_id_the_config_could_not_hold_is_refused(config, id):
    with pytest.raises(AdoptionError):
        await adopt({"host": "h"}, Gate, config, id=id)
    assert not adopted(config).exists()


@pytest.mark.parametrize(
    ("door", "said"),
    [
        (NewDoor("gate", "门"), "its locks: 1, 2"),
        (NewDoor("gate", "门", "3"), "no lock “3”"),
        (NewDoor("gate", "门", "1", {"gate-in": "side"}), "its readers: in, out"),
    ],
)
async def test_a_door_needs_a_lock_and_readers_the_device_has(config, door, said):
    with pytest.raises(AdoptionError) as caught:
        await adopt({"host": "h"}, Gate, config, id="gate-1", doors=[door])
    assert said in refusal(caught)
    assert not adopted(config).exists()


async def test_the_only_lock_of_a_device_need_not_be_named(config):
    driver = answering(DeviceInfo("A1", "GK-1", locks=("relay one",)))
    await adopt({"host": "h"}, driver, config, id="gate-1", doors=[NewDoor("gate", "门")])
    assert load(config).config.doors["gate"].lock == "gate-1/relay one"


async def test_a_config_that_would_be_worse_with_it_stays_as_it_is(config):
    await adopt({"host": "h"}, Gate, config, id="gate-1", doors=[GATE])
    before = adopted(config).read_bytes()
    again = NewDoor("other", "门", "2", {"gate-in": "out"})  # an access point of that name exists
    with pytest.raises(AdoptionError) as caught:
        await adopt({"host": "h", "password": "p"}, Gate, config, id="gate-2", doors=[again])
    assert f"{adopted(config)}:" in refusal(caught)
    assert adopted(config).read_bytes() == before
    assert "gate-2" not in (config.parent / "var" / "secrets.yaml").read_text()


async def test_a_file_that_cannot_be_read_is_not_written_over(config):
    adopted(config).write_text("devices: [\n", encoding="utf-8")
    with pytest.raises(AdoptionError) as caught:
        await adopt({"host": "h"}, Gate, config, id="gate-1")
    assert "adopted.yaml:" in refusal(caught)
    assert adopted(config).read_text(encoding="utf-8") == "devices: [\n"


async def test_forgetting_takes_the_device_its_doors_and_its_secrets(config):
    await adopt({"host": "h", "password": "p"}, Gate, config, id="gate-1", doors=[GATE])
    await adopt(
        {"host": "h", "password": "q"}, Gate, config, id="gate-10", doors=[NewDoor("back", "后门", "1")]
    )
    assert await forget(config, "gate-1") == ("gate",)
    loaded = load(config)
    assert loaded.problems == ()
    assert (list(loaded.config.devices), list(loaded.config.doors)) == (["gate-10"], ["back"])
    secrets = (config.parent / "var" / "secrets.yaml").read_text()
    assert ("gate-1." in secrets, "gate-10." in secrets) == (False, True)


async def test_after_the_last_one_a_new_device_can_be_adopted_again(config):
    await adopt({"host": "h"}, Gate, config, id="gate-1", doors=[GATE])
    await forget(config, "gate-1")
    assert load(config).config.devices == {}
    await adopt({"host": "h"}, Gate, config, id="gate-1", doors=[GATE])
    assert list(load(config).config.devices) == ["gate-1"]


async def test_what_the_installers_config_still_speaks_of_is_not_forgotten(config):
    await adopt({"host": "h"}, Gate, config, id="gate-1", doors=[GATE])
    with config.open("a", encoding="utf-8") as file:
        file.write("profiles:\n  residents: [{access_points: [gate-in]}]\n")
    with pytest.raises(AdoptionError) as caught:
        await forget(config, "gate-1")
    assert f"{config}:5" in refusal(caught)
    assert "gate-1" in load(config).config.devices


async def test_forgetting_an_unknown_device_says_so(config):
    with pytest.raises(AdoptionError) as caught:
        await forget(config, "gate-9")
    assert "there is no device gate-9" in refusal(caught)


def _adopt_one(config, number):
    asyncio.run(adopt({"host": "h", "password": str(number)}, Gate, config, id=f"gate-{number}"))


def test_commands_at_the_same_time_lose_nothing(config):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_adopt_one, args=(config, number)) for number in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    loaded = load(config)
    assert loaded.problems == ()
    assert set(loaded.config.devices) == {f"gate-{number}" for number in range(6)}


def test_a_crash_before_the_end_leaves_the_old_file(config, monkeypatch):
    Adopted(config).add({"devices": {"gate-1": {"driver": "gatekit", "host": "h"}}}, {})
    before = adopted(config).read_bytes()

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        Adopted(config).add({"devices": {"gate-2": {"driver": "gatekit", "host": "h"}}}, {})
    assert adopted(config).read_bytes() == before
    assert sorted(file.name for file in config.parent.iterdir()) == ["adopted.yaml", "config.yaml"]


@pytest.mark.parametrize(
    "text",
    ["devices: {a: {driver: x}}\n", "devices:\n    a:\n      driver: x\n    # tail\n", "devices:\ndoors:\n  b: {lock: a/1}\n", "# nothing\n", ""],
)  # fmt: skip
def test_an_entry_goes_in_and_out_without_a_trace_or_not_at_all(text):
    try:
        inside = insert(text, "devices", "gate", {"driver": "gatekit", "host": "h"})
    except AdoptionError as error:
        assert "one entry a line" in error.text("en")
        return
    data = yamlfile.parse(inside, "f").data
    assert data["devices"]["gate"] == {"driver": "gatekit", "host": "h"}
    again = yamlfile.parse(remove(inside, "devices", "gate"), "f").data
    wanted = yamlfile.parse(text, "f").data or {}
    assert {k: v for k, v in (again or {}).items() if v} == {k: v for k, v in wanted.items() if v}


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=10), values, max_size=4))
def test_what_is_written_reads_back_the_same(data):
    document = yamlfile.parse(dump(data), "f") if data else None
    if document is not None:
        assert (document.problems, document.data) == ([], data)


@pytest.mark.parametrize(
    "text",
    ["22:00", "no", "1e5", "007", "0x1f", "~", "12", "1.5", "true", "", " a", "!secret x", "- a", "a: b"],
)
def test_text_stays_text(text):
    assert yamlfile.parse(dump({"key": text}), "f").data == {"key": text}


def test_doors_of_a_command_line_take_their_access_points():
    doors = doors_from_options(
        ["gate:1=小区门", "gate-side:2=侧门"], ["gate-in=in", "gate-side-in=out", "lobby:gate=out"]
    )
    assert doors == (
        NewDoor("gate", "小区门", "1", {"gate-in": "in", "lobby": "out"}),
        NewDoor("gate-side", "侧门", "2", {"gate-side-in": "out"}),
    )
    assert doors_from_options(["gate=小区门"], ["in=in"])[0].access_points == {"in": "in"}


def test_a_door_of_a_command_line_takes_its_form():
    (door,) = doors_from_options(["unit=单元门"], [], ["unit=unit_door"])
    assert door.form is DoorForm.UNIT_DOOR


@pytest.mark.parametrize(
    ("form", "said"),
    [("unit=saloon", "gate, turnstile"), ("barn=gate", "--form"), ("unit", "--form gate=gate")],
)
def test_a_form_that_cannot_be_read_says_how_to_write_it(form, said):
    with pytest.raises(AdoptionError) as caught:
        doors_from_options(["unit=单元门"], [], [form])
    assert said in caught.value.text("en")


async def test_a_door_is_adopted_with_its_form(config):
    await adopt(
        {"host": "h2"},
        Gate,
        config,
        id="gate-2",
        doors=[NewDoor("back", "后门", "2", form=DoorForm.FLAT_LOCK)],
    )
    assert build_site(load(config).config).doors["back"].form is DoorForm.FLAT_LOCK


@pytest.mark.parametrize(
    ("doors", "points", "said"),
    [
        (["gate"], [], "--door gate=小区门"),
        (["gate=门"], ["gate-in"], "--access-point gate-in=in"),
        (["a=门", "b=门"], ["in=in"], "Doors: a, b"),
        ([], ["in=in"], "Doors: –"),
        (["a=门"], ["in:b=in"], "Doors: a"),
    ],
)
def test_options_that_cannot_be_read_say_how_to_write_them(doors, points, said):
    with pytest.raises(AdoptionError) as caught:
        doors_from_options(doors, points)
    assert said in refusal(caught)


async def test_a_connection_test_tells_what_the_device_says_and_writes_nothing(config):
    found = Discovered("A1", "gatekit", "Gate", "10.0.0.7", "mdns", {"host": "10.0.0.7"}, {})
    assert await probe(found, Gate, {"password": "p"}) == INFO
    assert [path.name for path in config.parent.iterdir()] == ["config.yaml"]


async def test_a_connection_test_with_a_wrong_password_says_so(config):
    found = Discovered("A1", "gatekit", "Gate", "10.0.0.7", "mdns", {"host": "10.0.0.7"}, {})
    with pytest.raises(AdoptionError) as caught:
        await probe(found, answering(AuthFailed("no such user")), {"password": "hunter2"})
    assert "no such user" in refusal(caught)
    assert "hunter2" not in refusal(caught)


def _killed_at(config, moment):
    """Adds a device with a secret and is killed when it has written so many files."""
    sync, written = os.fsync, []

    def killing(number):
        sync(number)
        written.append(number)
        if len(written) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = killing
    Adopted(config).add(
        {"devices": {"gate-1": {"driver": "gatekit", "host": "h", "password": Secret("gate-1.password")}}},
        {"gate-1.password": "s3cret"},
    )


@pytest.mark.parametrize("moment", [1, 3])
def test_what_a_killed_command_left_is_gone_after_the_next(config, moment):
    process = multiprocessing.get_context("fork").Process(target=_killed_at, args=(config, moment))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    folders = (config.parent, config.parent / "var")
    assert [file for folder in folders for file in folder.glob(".*")] != []
    swap = config.with_name(".adopted.yaml.swp")  # of an editor: somebody is at work in the file
    swap.touch()
    Adopted(config).add({"devices": {"gate-2": {"driver": "gatekit", "host": "h"}}}, {})
    assert [file for folder in folders for file in folder.glob(".*")] == [swap]


def test_the_commands_that_the_written_files_name_are_commands():
    known = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
    named = re.findall(r"`menwei (\w+)`", HEADER + SECRETS_HEADER)
    assert named
    assert set(named) <= known
