"""What the demonstration judges by: the quiet hours, the two accounts of the doors, its scenes and their words."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from pydantic import ValidationError

from journal_support import opened
from menwei.adoption import doors_from_options
from menwei.config import load
from menwei.journal import Entry
from menwei.messages import LANGUAGES, placeholders
from menwei.plugin import PASS, Answer, Refuse
from menwei.testing import context, credential, passage
from menwei_registration.checking import check
from menwei_registration.likeness import likely
from menwei_registration.sheet import read
from menwei_simulator import facing, roll, site, wired
from menwei_simulator.cast import CAST
from menwei_simulator.diary import Comparison, compare
from menwei_simulator.moment import HouseClock, Moment
from menwei_simulator.photos import Photos
from menwei_simulator.quiet import QuietHours, QuietHoursConfig
from menwei_simulator.scene import Expected, Result, Story
from menwei_simulator.showing import BEGINNINGS, Showing, agrees, words
from menwei_simulator.stories import STORIES, story_of
from menwei_simulator.story import SCENES

ZONE = ZoneInfo("Asia/Shanghai")


def at(clock: str) -> float:
    return datetime.fromisoformat(f"2026-11-22T{clock}").replace(tzinfo=ZONE).timestamp()


async def asked(clock: str, begin: str = "12:00", end: str = "14:00", profile: str = "workers") -> Answer:
    options = QuietHoursConfig.model_validate({"from": begin, "to": end, "profiles": ["workers"]})
    policy = QuietHours(context("simulator"), options)
    return await policy.check(passage(at=at(clock), credential=credential(profiles=(profile,))))


# ------------------------------------------------------------------------------------------------------- quiet hours


@pytest.mark.parametrize("clock", ["12:00", "13:59:59"])
async def test_work_is_refused_in_the_quiet_hours(clock: str) -> None:
    assert await asked(clock) == Refuse("simulator.says.quiet_hours", detail="12:00-14:00")


@pytest.mark.parametrize("clock", ["11:59:59", "14:00"])
async def test_work_is_let_in_outside_the_quiet_hours(clock: str) -> None:
    assert await asked(clock) is PASS


@pytest.mark.parametrize("clock", ["22:00", "23:59", "00:00", "05:59"])
async def test_quiet_hours_may_go_over_midnight(clock: str) -> None:
    assert isinstance(await asked(clock, "22:00", "06:00"), Refuse)
    assert await asked("06:00", "22:00", "06:00") is PASS


async def test_residents_are_not_concerned_by_the_quiet_hours() -> None:
    assert await asked("13:00", profile="residents") is PASS


@pytest.mark.parametrize("wrong", [{"from": "25:00"}, {"to": "noon"}, {"time_zone": "Mars/Base"}])
def test_quiet_hours_that_are_no_hours_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        QuietHoursConfig.model_validate({"from": "12:00", "to": "14:00", "profiles": ["workers"], **wrong})


# -------------------------------------------------------------------------------------------------- the two accounts


async def accounts(
    folder: Path, pulses: list[int], extra: str = "", counts: dict[str, int] | None = None
) -> Comparison:
    """A journal of two grants, a command, a refusal and a refused command, against pulses for the entries so
    numbered."""
    log = folder / "pulses.jsonl"
    async with opened(folder / "journal.db") as journal:
        entries = [
            Entry("AccessGranted", 1.0, "gate"),
            Entry("AccessDenied", 2.0, "gate"),
            Entry("DoorCommand", 3.0, "gate", data={"mode": "Accessed", "refused": ""}),
            Entry("DoorCommand", 4.0, "gate", data={"mode": "Accessed", "refused": "command.not_your_role"}),
            Entry("AccessGranted", 5.0, "gate"),
        ]
        positions = [str(await journal.append(entry)) for entry in entries]
        passages = [positions[number] for number in pulses] + ([extra] if extra else [])
        lines: list[dict[str, Any]] = [
            {
                "index": index, "at": 1.0, "kind": "pulse", "controller": "sim", "lock": "1", "seconds": 1,
                "cause": "command", "command": index, "passage": passage,
            }
            for index, passage in enumerate(passages, start=1)
        ]  # fmt: skip
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return await compare(journal, log, counts)


async def test_the_accounts_agree_where_each_record_has_its_pulse(tmp_path: Path) -> None:
    found = await accounts(tmp_path, [0, 2, 4])
    assert found.equal
    assert (found.pulses, found.records) == (3, 3)


async def test_a_record_without_a_pulse_is_found(tmp_path: Path) -> None:
    found = await accounts(tmp_path, [0, 2])
    assert not found.equal
    assert len(found.lacking) == 1


async def test_a_pulse_for_what_was_refused_is_found(tmp_path: Path) -> None:
    found = await accounts(tmp_path, [0, 1, 2, 3, 4])
    assert len(found.alone) == 2
    assert not found.equal


async def test_a_pulse_that_names_no_record_is_found(tmp_path: Path) -> None:
    assert (await accounts(tmp_path, [0, 2, 4], extra="9.9")).alone == ("9.9",)


async def test_a_record_that_released_twice_is_found(tmp_path: Path) -> None:
    found = await accounts(tmp_path, [0, 0, 2, 4])
    assert len(found.twice) == 1
    assert not found.equal


@pytest.mark.parametrize(("count", "alone", "lacking"), [(3, 0, 0), (2, 0, 1), (0, 0, 3), (4, 1, 0)])
async def test_of_a_door_whose_controller_only_counts_as_many_releases_are_compared(
    tmp_path: Path, count: int, alone: int, lacking: int
) -> None:
    found = await accounts(tmp_path, [], counts={"gate": count})
    assert (found.pulses, found.records) == (count, 3)
    assert (len(found.alone), len(found.lacking), found.twice) == (alone, lacking, ())
    assert found.equal is (count == 3)


# --------------------------------------------------------------------------------------------------------- the scenes


FACES = "street with faces"


@pytest.fixture(params=[*STORIES, FACES])
def story(request: pytest.FixtureRequest) -> Story:
    if request.param != FACES:
        return story_of(request.param)
    here = Path(__file__)
    played = Photos((here, here), here, here)
    return facing.with_faces(story_of("street"), facing.Screens(here.parent, played), played)


def test_the_scenes_with_faces_are_those_that_can_be_named_on_the_command_line() -> None:
    here = Path(__file__)
    screens = facing.Screens(here.parent, Photos((here,), here, here))
    assert tuple(scene.id for scene in facing.scenes(screens)) == facing.FACE_SCENES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_scene_has_its_words(story: Story, language: str) -> None:
    messages = words()
    assert messages.find(language, f"simulator.demo.site.{story.id}")
    for scene in (*story.scenes, *story.passers_by):
        assert messages.find(language, f"simulator.demo.scene.{scene.id}")
        assert messages.find(language, scene.door_key)
        for name in (scene.expected.decision, *scene.expected.events):
            assert any(messages.find(language, f"{begin}.{name}") for begin in BEGINNINGS), name
        if scene.expected.decision == "AccessDenied":
            for reason in scene.expected.reasons:
                assert messages.find(language, f"reason.{reason}")


def test_no_two_scenes_of_a_story_have_the_same_name(story: Story) -> None:
    names = [scene.id for scene in story.scenes]
    assert len(names) == len(set(names))


def test_the_clock_of_a_story_only_goes_forward(story: Story) -> None:
    moments = [scene.at.instant(at("10:00:40"), ZONE) for scene in story.scenes if scene.at is not None]
    assert moments == sorted(moments)
    assert all(moment > at("10:10") for moment in moments)


def test_both_languages_say_the_same_things_with_the_same_values() -> None:
    folder = Path(site.__file__).parent / "locale"
    texts = [
        dict(re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"', path.read_text(), re.MULTILINE))
        for path in sorted(folder.glob("*/LC_MESSAGES/menwei.po"))
    ]
    assert len(texts) == len(LANGUAGES)
    assert texts[0].keys() == texts[1].keys()
    for key in texts[0]:
        assert placeholders(texts[0][key]) == placeholders(texts[1][key]), key


@pytest.mark.parametrize(
    "changed",
    [
        {"decision": "AccessDenied"},
        {"reasons": ("Other",)},
        {"refused_by": ("quiet",)},
        {"events": ()},
        {"events": ("AccessTaken", "Duress")},
    ],
)
def test_an_end_that_differs_in_anything_that_counts_is_not_the_expected_one(changed: dict[str, Any]) -> None:
    scene = SCENES[0]
    right: dict[str, Any] = {"decision": "AccessGranted", "events": ("AccessTaken",)}
    assert scene.expected == Expected("AccessGranted", events=("AccessTaken",))
    assert agrees(scene, Result(**right, latency=1.0, shown="welcome", holder=7))
    assert not agrees(scene, Result(**(right | changed)))


# ---------------------------------------------------------------------------------------------------------- the clock


def wall(instant: float) -> str:
    return datetime.fromtimestamp(instant, ZONE).isoformat(" ")[:16]


@pytest.mark.parametrize(
    ("began", "moment", "meant"),
    [
        ("2026-11-22T10:00", Moment("09:00", days=1), "2026-11-23 09:00"),
        ("2026-11-22T23:59", Moment("00:01", days=1), "2026-11-23 00:01"),
        ("2026-11-22T10:00", Moment("10:30", years=1), "2027-11-22 10:30"),
        ("2026-11-22T10:00", Moment("09:30", days=-1, years=1), "2027-11-21 09:30"),
        ("2028-02-29T10:00", Moment("10:30", years=1), "2029-02-28 10:30"),
    ],
)
def test_a_moment_of_a_story_is_a_wall_time_of_the_site(began: str, moment: Moment, meant: str) -> None:
    assert wall(moment.instant(datetime.fromisoformat(began).replace(tzinfo=ZONE).timestamp(), ZONE)) == meant


def test_the_houses_clock_is_put_forward_and_never_back() -> None:
    clock = HouseClock()
    clock.to(clock() + 86_400)
    assert 86_399 < clock.ahead < 86_401
    clock.to(clock() - 3600)
    clock.forward(-3600)
    assert 86_399 < clock.ahead < 86_401


# ----------------------------------------------------------------------------------------------------------- the roll


def test_the_roll_has_2449_people_in_52_houses_whom_the_import_finds_no_fault_with() -> None:
    found = check(read(roll.table(date(2027, 11, 22))))
    assert found.faults == []
    assert len(found.entries) == 2_449
    assert {room.building for room in found.rooms.values()} == {str(number) for number in range(1, 53)}
    assert len({room.landlord for room in found.rooms.values()}) == 31
    assert likely(found.entries, {}, {}) == []


def test_the_roll_is_the_same_each_time_and_nobody_stands_in_it_twice() -> None:
    people = list(roll.villagers())
    assert people == list(roll.villagers())
    for what in ("key", "number", "chip"):
        assert len({getattr(one, what) for one in people}) == len(people), what
    assert {one.number[:6] for one in people} == {"990000"}, "a county code that nobody was ever given"


# ----------------------------------------------------------------------------------------------------------- the site


@pytest.mark.parametrize("clock", ["00:30", "12:00", "23:45"])
def test_the_street_is_a_good_config_at_any_hour(tmp_path: Path, clock: str) -> None:
    assert_good(tmp_path, story_of("street"), "zh-CN", at(clock))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_site_of_a_story_is_a_good_config(tmp_path: Path, story: Story, language: str) -> None:
    assert_good(tmp_path, story, language, at("12:00"))


def assert_good(folder: Path, story: Story, language: str, now: float) -> None:
    """What the demonstration writes before and after the adoption, with what the adoption writes in between."""
    config, say = folder / "config.yaml", Showing(language, as_json=False).say
    if story.id == "wired":
        story = wired.configured(story, say, 423187757, 60000, "/dev/ttyUSB0", "0011" * 8)
    config.write_text(site.config_text(story, language, say, now))
    doors: dict[str, Any] = {}
    for controller in story.controllers:
        for door in doors_from_options(*site.adopt_words(story, controller, say)):
            points = {
                point: {"readers": [f"{controller}/{reader}"]} for point, reader in door.access_points.items()
            }
            lock = f"{controller}/{door.lock or '1'}"
            doors[door.id] = {"name": door.name, "lock": lock, "access_points": points}
    device = {"driver": "simulator", "host": "127.0.0.1", "port": 1}
    adopted = {"devices": {controller: dict(device) for controller in story.controllers}, "doors": doors}
    (folder / "adopted.yaml").write_text("# written by a test\n" + yaml.safe_dump(adopted))
    site.finish(story, config)
    loaded = load(config)
    assert loaded.problems == ()
    assert loaded.config is not None
    assert set(story.points) <= {point for door in doors.values() for point in door["access_points"]}
    assert (folder / "adopted.yaml").read_text().startswith("# written by a test\n")


def test_the_profiles_of_the_streets_people_exist() -> None:
    assert {profile for member in CAST for profile in member.profiles} <= story_of("street").profiles.keys()
