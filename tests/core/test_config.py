from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import validator_for
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from menwei import messages
from menwei.config import Loaded, Problem, Settings, build_site, json_schema, load
from menwei.model import IdentifierType, LevelInForce
from menwei.settings import seconds
from menwei.site import security_level

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 9, 1)

SMALL = """\
site: {id: yard, name: 示范小区}
plugins: {simulator: }
devices:
  sim-gate: {driver: simulator, host: 127.0.0.1, port: 40001}
doors:
  gate:
    lock: sim-gate/1
    access_points:
      gate-in: {readers: [sim-gate/in]}
profiles:
  residents: [{access_points: [gate-in]}]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, so that messages say `config.yaml:…`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(text: str, adopted: str | None = None) -> Loaded:
    Path("config.yaml").write_text(text, encoding="utf-8")
    if adopted is not None:
        Path("adopted.yaml").write_text(adopted, encoding="utf-8")
    return load("config.yaml", today=TODAY)


def texts(found: Loaded, language: str = "en") -> list[str]:
    return [problem.text(language) for problem in found.problems]


def keys(found: Loaded) -> list[tuple[str, str]]:
    return [(problem.path, problem.key) for problem in found.problems]


def config_of(text: str) -> Settings:
    found = loaded(text)
    assert not texts(found)
    assert found.config is not None
    return found.config


# ------------------------------------------------------------------------------------------------ good files


def test_the_example_is_valid() -> None:
    found = load(ROOT / "config.example.yaml", today=TODAY)
    assert not texts(found)
    assert found.config is not None
    site = build_site(found.config)
    assert set(site.doors) == {"gate", "unit-1"}


def test_the_example_names_a_schema_that_is_up_to_date() -> None:
    first = (ROOT / "config.example.yaml").read_text(encoding="utf-8").splitlines()[0]
    path = first.partition("$schema=")[2]
    assert json.loads((ROOT / path).read_text(encoding="utf-8")) == json_schema()


def test_the_schema_accepts_the_example_and_refuses_a_misspelt_key() -> None:
    validator = validator_for(json_schema())
    example = yaml.load((ROOT / "config.example.yaml").read_text(encoding="utf-8"), yaml.BaseLoader)
    example["web"]["port"] = 8460
    example["journal"]["required"] = False
    example["doors"]["gate"]["contact"] = True
    example["plugins"] = {"simulator": None, "console": {"allow": ["rights"], "any": "thing"}}
    assert validator.is_valid(example)
    example["doors"]["gate"]["relase_time"] = "5s"
    assert not validator.is_valid(example)


def test_an_empty_file_is_a_site_that_can_discover(folder: Path) -> None:
    config = config_of("")
    assert config.site.id == "site"
    assert config.discovery.interfaces == ["127.0.0.1"]
    assert not build_site(config).doors


def test_a_configuration_becomes_the_facts_of_a_site(folder: Path) -> None:
    site = build_site(config_of(SMALL))
    assert (site.id, site.name, site.zone, site.language) == (
        "yard",
        "示范小区",
        ZoneInfo("Asia/Shanghai"),
        "zh-CN",
    )
    assert site.locks == {("sim-gate", "1"): "gate"}
    assert site.readers == {("sim-gate", "in"): "gate-in"}
    assert site.doors["gate"].access_points == ("gate-in",)
    assert site.access_points["gate-in"].levels == (LevelInForce(security_level("Card")),)
    [profile] = site.profiles
    assert profile.id == "residents"
    assert profile.rules[0].schedule == "always"


def test_a_door_s_other_times_leave_room_for_its_ordinary_ones(folder: Path) -> None:
    site = build_site(
        config_of(
            SMALL.replace("lock: sim-gate/1", "lock: sim-gate/1\n    release_time: 40s\n    open_time: 9s")
        )
    )
    door = site.doors["gate"]
    assert (door.release_time, door.extended_release_time) == (40.0, 40.0)
    assert (door.open_time, door.pre_alarm_time) == (9.0, 3.0)


def test_a_reader_s_own_name_may_hold_spaces_and_slashes(folder: Path) -> None:
    config = config_of(SMALL.replace("readers: [sim-gate/in]", "readers: sim-gate/ACS ACR122U 00/01"))
    assert build_site(config).readers == {("sim-gate", "ACS ACR122U 00/01"): "gate-in"}


@pytest.mark.parametrize(
    ("words", "name", "groups"),
    [
        ("Card", "Card", [{"Card"}]),
        ("card AND pin", "Card and PIN", [{"Card", "PIN"}]),
        ("PIN and Card", "Card and PIN", [{"Card", "PIN"}]),
        ("Card or QRCode", "Card or QRCode", [{"Card"}, {"QRCode"}]),
        ("Card and PIN or Face or Card and PIN", "Card and PIN or Face", [{"Card", "PIN"}, {"Face"}]),
    ],
)
def test_security_levels_are_written_in_words(words: str, name: str, groups: list[set[str]]) -> None:
    level = security_level(words)
    assert level.name == name
    assert [set(map(str, group)) for group in level.groups] == groups


def test_security_levels_may_differ_by_schedule(folder: Path) -> None:
    text = SMALL.replace(
        "{readers: [sim-gate/in]}",
        "{readers: [sim-gate/in], security_level: [{level: Card and PIN, schedule: night}, Card]}",
    )
    site = build_site(config_of(text + 'schedules: {night: {weekly: ["Mon-Sun 22:00-06:00"]}}\n'))
    levels = site.access_points["gate-in"].levels
    assert [(level.level.name, level.schedule) for level in levels] == [
        ("Card and PIN", "night"),
        ("Card", None),
    ]
    assert levels[0].level.uses(IdentifierType.PIN)
    assert site.schedules["night"].weekly == ("Mon-Sun 22:00-06:00",)


@pytest.mark.parametrize(
    ("written", "value"),
    [("5s", 5), ("1.5s", 1.5), ("10m", 600), ("1h30m", 5400), ("30d", 2_592_000), ("PT5S", 5), ("P1DT12H", 129_600), ("P2W", 1_209_600), (7, 7), (0.5, 0.5)],
)  # fmt: skip
def test_durations(written: object, value: float) -> None:
    assert seconds(written) == value


@pytest.mark.parametrize("written", ["", "P", "PT", "5", "5 s", "s", "-5s", "5s10m", "P1M", "P1Y", "٥s", "1e3s", True, None, [5], float("nan"), float("inf"), 10**400, "9" * 10_000 + "s"])  # fmt: skip
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds(written)


# ------------------------------------------------------------------------------------------------ mistakes

TEN = """\
site: {id: yard, time_zone: Asia/Shangai}
devices:
  sim-gate: {drivr: simulator}
doors:
  gate:
    lock: sim-gat/1
    relaese_time: 5s
    open_time: soon
    access_points:
      gate-in: {readers: [sim-gate/in, sim-gate/in], security_level: Card and Fce}
  gate:
    lock: sim-gate/2
schedules:
  night: {weekly: ["Mon-Sun 22:00-06:00", "Mon 25:00-26:00"]}
profiles:
  residents: [{access_points: [gate-inn], schedule: nigt}]
web: {host: 0.0.0.0}
"""


def test_many_mistakes_are_all_told_at_their_places_in_one_run(folder: Path) -> None:
    found = loaded(TEN)
    assert found.config is None
    assert texts(found) == [
        "config.yaml:1:18: site.time_zone: unknown time zone Asia/Shangai; one such as Asia/Shanghai is expected · did you mean “Asia/Shanghai”?",
        "config.yaml:3:3: devices.sim-gate: “driver” is missing · “drivr” stands here; is it a misspelling?",
        "config.yaml:6:5: doors.gate.lock: there is no device “sim-gat” · did you mean “sim-gate”?",
        "config.yaml:7:5: doors.gate.relaese_time: unknown key “relaese_time” · did you mean “release_time”?",
        "config.yaml:8:5: doors.gate.open_time: a duration such as 5s, 10m, 30d, PT5S or a number of seconds is expected, not soon",
        "config.yaml:10:40: doors.gate.access_points.gate-in.readers[1]: the reader sim-gate/in is used already, at doors.gate.access_points.gate-in.readers[0]",
        "config.yaml:10:54: doors.gate.access_points.gate-in.security_level: unknown security level Card and Fce; it is made of Card, PIN, Face, QRCode with and, or · did you mean “Face”?",
        "config.yaml:11:3: doors.gate: “gate” stands here twice; first at config.yaml:5:3",
        "config.yaml:14:43: schedules.night.weekly[1]: there is no such time: 25:00-26:00 (00:00 to 24:00)",
        "config.yaml:16:32: profiles.residents[0].access_points[0]: there is no access point “gate-inn” · did you mean “gate-in”?",
        "config.yaml:16:43: profiles.residents[0].schedule: there is no schedule “nigt” · did you mean “night”?",
        "config.yaml:17:7: web.host: 0.0.0.0 can be reached from other machines and needs TLS · give web.tls a certificate and key, or use 127.0.0.1",
    ]


def test_the_same_mistakes_can_be_read_in_chinese(folder: Path) -> None:
    found = loaded(TEN)
    assert len(texts(found, "zh-CN")) == 12
    assert "config.yaml:6:5: doors.gate.lock: 没有设备“sim-gat” · 您是否想写“sim-gate”？" in texts(
        found, "zh-CN"
    )


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


@pytest.mark.parametrize(
    ("text", "path", "key"),
    [
        (changed("id: yard", "id: Yard"), "site.id", "config.id"),
        (changed("site: {id: yard, name: 示范小区}", "site: yard"), "site", "config.expected_section"),
        (changed("name: 示范小区", "name: 12"), "site.name", "config.expected_text"),
        (changed("name: 示范小区", "language: fr"), "site.language", "config.one_of"),
        (changed("sim-gate:", "Sim_Gate:").replace("sim-gate/", "Sim_Gate/"), "devices.Sim_Gate", "config.id"),
        (changed("driver: simulator, ", ""), "devices.sim-gate", "config.missing"),
        (changed("lock: sim-gate/1", "lock: sim-gate"), "doors.gate.lock", "config.reference"),
        (changed("lock: sim-gate/1", "name: Gate"), "doors.gate", "config.missing"),
        (changed("lock: sim-gate/1", "lock: sim-gate/1\n    contact: maybe"), "doors.gate.contact", "config.expected_bool"),
        (changed("lock: sim-gate/1", "lock: sim-gate/1\n    release_time: 0s"), "doors.gate.release_time", "config.greater_than"),
        (changed("lock: sim-gate/1", "lock: sim-gate/1\n    release_time: 2h"), "doors.gate.release_time", "config.at_most"),
        (changed("lock: sim-gate/1", "lock: sim-gate/1\n    pre_alarm_time: 30s"), "doors.gate.pre_alarm_time", "config.pre_alarm"),
        (changed("lock: sim-gate/1", "lock: sim-gate/1\n    extended_release_time: 1s"), "doors.gate.extended_release_time", "config.extended"),
        (changed("lock: sim-gate/1", "lock: sim-gate/1\n    policies: [quiet]"), "doors.gate.policies[0]", "config.no_such_policy"),
        (changed("readers: [sim-gate/in]", "readers: [sim-gat/in]"), "doors.gate.access_points.gate-in.readers[0]", "config.no_such_device"),
        (changed("readers: [sim-gate/in]", "policies: [quiet]"), "doors.gate.access_points.gate-in.policies[0]", "config.no_such_policy"),
        (changed("readers: [sim-gate/in]", "decides: nobody"), "doors.gate.access_points.gate-in.decides", "config.one_of"),
        (changed("readers: [sim-gate/in]", "security_level: [{level: Card, schedule: nigh}]"), "doors.gate.access_points.gate-in.security_level[0].schedule", "config.no_such_schedule"),
        (changed("readers: [sim-gate/in]", "security_level: [Card, Card and PIN]"), "doors.gate.access_points.gate-in.security_level[1]", "config.level_unreachable"),
        (changed("readers: [sim-gate/in]", "security_level: []"), "doors.gate.access_points.gate-in.security_level", "config.too_few"),
        (SMALL + "  guests: {access_points: [gate-in]}\n", "profiles.guests", "config.expected_list"),
        (SMALL + "policies: {quiet: {policy: my_policy.quiet}}\n", "policies.quiet.policy", "config.no_such_plugin"),
        (SMALL + "policies: {quiet: {policy: quiet}}\n", "policies.quiet.policy", "config.policy_name"),
        (SMALL + "schedules: {always: {weekly: Mon 8:00-9:00}}\n", "schedules.always", "config.schedule_built_in"),
        (SMALL + "schedules: {s: {}}\n", "schedules.s", "schedule.empty"),
        (SMALL + "schedules: {s: {ical: 5}}\n", "schedules.s.ical", "config.expected_text"),
        (SMALL + "schedules: {s: {ical: rubbish}}\n", "schedules.s.ical", "schedule.ical_unreadable"),
        (SMALL + "schedules: {s: {special_days: {days: 2026-02-30, hours: none}}}\n", "schedules.s.special_days.days", "schedule.date"),
        (SMALL + "schedules: {s: {special_days: [{days: 2026-02-03}]}}\n", "schedules.s.special_days[0]", "config.missing"),
        (SMALL + "schedules: {s: {special_days: {holidays: XX, hours: none}}}\n", "schedules.s.special_days.holidays", "schedule.holidays_unknown"),
        (SMALL + "web: {port: 70000}\n", "web.port", "config.at_most"),
        (SMALL + "web: {port: '80'}\n", "web.port", "config.expected_integer"),
        (SMALL + "web: {host: 0.0.0.0, tls: {certificate: a}}\n", "web.tls", "config.missing"),
        (SMALL + "discovery: {interfaces: [eth0]}\n", "discovery.interfaces[0]", "config.address"),
        (SMALL + "journal: {passages: forever}\n", "journal.passages", "config.duration"),
        (SMALL + "sites: {}\n", "sites", "config.unknown_key"),
        ("- a\n", "", "config.expected_section"),
        ("doors: {a: {lock: x/1", "", "config.syntax.bracket"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_problem(folder: Path, text: str, path: str, key: str) -> None:
    found = loaded(text)
    assert keys(found) == [(path, key)]
    assert found.config is None
    for language in messages.LANGUAGES:
        assert all(texts(found, language))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("web: {port: '8460'}\n", "config.hint.unquote"),
        ("journal: {required: 'true'}\n", "config.hint.unquote"),
        ("web: {port: 'eight'}\n", ""),
        ("data: 5\n", "config.hint.quote"),
    ],
)
def test_quotes_that_are_all_that_is_wrong_are_told(folder: Path, text: str, hint: str) -> None:
    (problem,) = loaded(SMALL + text).problems
    assert problem.hint == hint


def test_an_access_point_stands_at_one_door_only_and_a_lock_too(folder: Path) -> None:
    text = changed("profiles:", "  side: {lock: sim-gate/1, access_points: {gate-in: {}}}\nprofiles:")
    assert keys(loaded(text)) == [
        ("doors.side.lock", "config.lock_twice"),
        ("doors.side.access_points.gate-in", "config.access_point_twice"),
    ]


def test_a_lock_and_a_reader_may_have_the_same_name(folder: Path) -> None:
    config_of(changed("readers: [sim-gate/in]", "readers: [sim-gate/1]"))


def test_a_broken_device_is_not_told_a_second_time_where_it_is_used(folder: Path) -> None:
    assert keys(loaded(changed("{driver: simulator, host: 127.0.0.1, port: 40001}", "[]"))) == [
        ("devices.sim-gate", "config.expected_section")
    ]


def test_the_console_needs_tls_beyond_this_machine(folder: Path) -> None:
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        config_of(SMALL + f"web: {{host: '{host}'}}\n")
    for host in ("0.0.0.0", "::", "192.168.1.2", "door.example.com"):
        assert keys(loaded(SMALL + f"web: {{host: '{host}'}}\n")) == [("web.host", "config.tls_needed")]
        config_of(SMALL + f"web: {{host: '{host}', tls: {{certificate: a, key: b}}}}\n")


# ------------------------------------------------------------------------------------------------ adopted.yaml


def test_what_was_adopted_is_added(folder: Path) -> None:
    found = loaded(SMALL, "devices:\n  sim-2: {driver: simulator}\ndoors:\n  side: {lock: sim-2/1}\n")
    assert not texts(found)
    assert found.config is not None
    assert set(found.config.devices) == {"sim-gate", "sim-2"}
    assert build_site(found.config).locks[("sim-2", "1")] == "side"


def test_the_same_id_in_both_files_names_both_lines(folder: Path) -> None:
    found = loaded(SMALL, "devices:\n  sim-gate: {driver: simulator}\n")
    assert texts(found) == [
        "adopted.yaml:2:3: devices.sim-gate: “sim-gate” stands here twice; first at config.yaml:4:3"
    ]


def test_a_mistake_in_what_was_adopted_is_told_there(folder: Path) -> None:
    found = loaded(SMALL, "devices:\n  sim-2: {drivr: simulator}\nplugins: {x: }\n")
    assert [(p.file, p.line, p.path, p.key) for p in found.problems] == [
        ("adopted.yaml", 2, "devices.sim-2", "config.missing"),
        ("adopted.yaml", 3, "plugins", "config.adopted_section"),
    ]


def test_adopted_secrets_are_kept_in_the_data_folder(folder: Path) -> None:
    Path("var").mkdir()
    Path("var/secrets.yaml").write_text("sim-2: hunter2\n")
    Path("var/secrets.yaml").chmod(0o600)
    found = loaded(SMALL, "devices: {sim-2: {driver: simulator, token: !secret sim-2}}\n")
    assert not texts(found)
    assert found.options(("devices", "sim-2")) == {"token": "hunter2"}
    assert "hunter2" not in f"{found!r} {found.config!r}"
    assert found.data == Path("var")


# ------------------------------------------------------------------------------------------------ plugins' own options


class RelayOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str
    port: int = 80
    password: SecretStr = SecretStr("")
    channels: list[dict[str, int]] = []

    @field_validator("host")
    @classmethod
    def a_name(cls, value: str) -> str:
        if " " in value:
            raise ValueError("a host name has no spaces")
        return value

    @field_validator("password")
    @classmethod
    def long(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 8:
            raise ValueError(f"{value.get_secret_value()} is too short")
        return value


def with_relay(options: str) -> Loaded:
    found = loaded(f"devices:\n  relay: {{driver: relay, {options}}}\n")
    assert not texts(found)
    return found


def test_a_plugin_s_options_become_its_own_model(folder: Path) -> None:
    options = with_relay("host: 10.0.0.2, port: 502").check_plugin_options(("devices", "relay"), RelayOptions)
    assert isinstance(options, RelayOptions)
    assert (options.host, options.port) == ("10.0.0.2", 502)


def test_mistakes_in_a_plugin_s_options_are_told_at_their_place(folder: Path) -> None:
    found = with_relay("hots: relay, port: many, channels: [{a: 1}, {b: x}]")
    problems = found.check_plugin_options(("devices", "relay"), RelayOptions)
    assert isinstance(problems, list)
    assert [problem.text("en") for problem in problems] == [
        "config.yaml:2:3: devices.relay: “host” is missing · “hots” stands here; is it a misspelling?",
        "config.yaml:2:26: devices.relay.hots: unknown key “hots” · did you mean “host”?",
        "config.yaml:2:39: devices.relay.port: a whole number is expected, not many",
        "config.yaml:2:71: devices.relay.channels[1].b: a whole number is expected, not x",
    ]


def test_a_plugin_s_own_words_are_passed_on(folder: Path) -> None:
    problems = with_relay("host: a b").check_plugin_options(("devices", "relay"), RelayOptions)
    assert isinstance(problems, list)
    assert [problem.text("en") for problem in problems] == [
        "config.yaml:2:26: devices.relay.host: not valid: a host name has no spaces"
    ]


@pytest.mark.parametrize("written", ["hunter2", "!secret relay"])
def test_a_secret_never_stands_in_a_problem(folder: Path, written: str) -> None:
    Path("secrets.yaml").write_text("relay: hunter2\n")
    Path("secrets.yaml").chmod(0o600)
    problems = with_relay(f"host: relay, password: {written}").check_plugin_options(
        ("devices", "relay"), RelayOptions
    )
    assert isinstance(problems, list)
    assert [problem.path for problem in problems] == ["devices.relay.password"]
    assert "hunter2" not in "".join(problem.text("en") + repr(problem) for problem in problems)


def test_a_secret_at_an_innocent_key_does_not_stand_in_a_problem_either(folder: Path) -> None:
    Path("secrets.yaml").write_text("relay: hunter2\n")
    Path("secrets.yaml").chmod(0o600)
    problems = with_relay("host: relay, port: !secret relay").check_plugin_options(
        ("devices", "relay"), RelayOptions
    )
    assert isinstance(problems, list)
    assert [problem.text("en") for problem in problems] == [
        "config.yaml:2:39: devices.relay.port: a whole number is expected, not …"
    ]


def test_a_plugin_named_with_nothing_behind_it_has_no_options(folder: Path) -> None:
    found = loaded(SMALL)
    assert found.options(("plugins", "simulator")) == {}
    allowed = loaded(SMALL.replace("{simulator: }", "{simulator: {allow: [rights], speed: 2}}"))
    assert allowed.options(("plugins", "simulator")) == {"speed": 2}
    assert allowed.config is not None
    assert allowed.config.plugins["simulator"].allow == ["rights"]
    with pytest.raises(KeyError):
        found.options(("plugins", "nobody"))


# ------------------------------------------------------------------------------------------------ anything at all

words = st.sampled_from(
    ["site", "id", "doors", "gate", "lock", "devices", "driver", "sim/1", "access_points", "readers", "schedules", "weekly", "ical", "special_days", "days", "holidays", "hours", "profiles", "plugins", "policies", "policy", "a.b", "allow", "web", "host", "tls", "security_level", "level", "schedule", "Card and PIN", "Mon 8:00-9:00", "2026-10-01", "5s", "CN", "all", "discovery", "interfaces", "journal", "passages", "data", "x\0y", "from", "open_time", "pre_alarm_time"]
)  # fmt: skip
values: st.SearchStrategy[Any] = st.recursive(
    words | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.text("ab-", min_size=1), inner, max_size=4)
    ),
    max_leaves=15,
)
sections = st.dictionaries(
    st.sampled_from(list(Settings.model_fields)),
    st.dictionaries(words, values, max_size=3) | values,
    max_size=5,
)


def assert_told(found: Loaded) -> None:
    assert (found.config is None) == bool(found.problems)
    for problem in found.problems:
        assert isinstance(problem, Problem)
        assert problem.line >= 1 and problem.column >= 1
        assert "\n" not in problem.text("zh-CN") and "\x1b" not in problem.text("en")
    if found.config is not None:
        build_site(found.config)


@given(sections, sections | st.none())
def test_any_yaml_is_a_configuration_or_problems(
    tmp_path_factory: pytest.TempPathFactory, data: Any, adopted: Any
) -> None:
    folder = tmp_path_factory.mktemp("any", numbered=True)
    (folder / "config.yaml").write_text(
        yaml.safe_dump(data, allow_unicode=True), encoding="utf-8", errors="replace"
    )
    if adopted is not None:
        (folder / "adopted.yaml").write_text(json.dumps(adopted), encoding="utf-8")
    assert_told(load(folder / "config.yaml", today=TODAY))


@given(st.binary(max_size=100), st.integers(0, len(SMALL.encode())))
def test_any_bytes_in_a_good_file_are_a_configuration_or_problems(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int
) -> None:
    good = SMALL.encode()
    path = tmp_path_factory.getbasetemp() / "noise.yaml"
    path.write_bytes(good[:at] + noise + good[at + len(noise) :])
    assert_told(load(path, adopted=path.with_name("none.yaml"), today=TODAY))
