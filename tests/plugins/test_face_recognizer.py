"""The recognizer between the lookers and the line: the real lookers with scripted faces, in this process."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import asyncio
import pickle
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

np = pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from face_stage import ANNA, BEN, STRANGER, Face, Stage, picture
from menwei import FOREVER, AccessPoint, Context, Credential, CredentialState, IdentifierType, NotReady
from menwei.clock import TrustedClock
from menwei.messages import Catalogue
from menwei.model import LevelInForce, SecurityLevel
from menwei_camera.service import Cameras, Looking
from menwei_face import choice, models, packages, plans, recognizer
from menwei_face.look import lookers
from menwei_face.match import template
from menwei_face.models import DLIB, Problem, Trouble
from menwei_face.options import FaceOptions
from menwei_face.orders import Admit
from menwei_face.recognizer import FaceRecognizer
from menwei_face.service import Faces

CARD, FACE = IdentifierType.CARD, IdentifierType.FACE
BOTH = SecurityLevel("Card and Face", (frozenset({CARD, FACE}),))
ALONE = SecurityLevel("Face", (frozenset({FACE}),))
SENTENCES = Catalogue.of_package("menwei_face").keys()
ONE_FACE = {
    "demonstration": True,
    "doors": {"gate": {"liveness": "none", "alone": {"people": 2, "one_stranger_in": 5}}},
}


class Here:
    """`Cameras` without a process: lookers in this thread, messages pickled like those to the worker."""

    def __init__(self):
        self.stage = Stage()
        self.looking = None
        self.at = 0.0
        self.messages = []

    def look(self, spec, happened):
        self.spec = pickle.loads(pickle.dumps(spec))
        make = lookers(self.spec.options, self.stage, self.stage)
        self.lookers = {camera: make(camera) for camera in spec.cameras}
        self.looking = Looking(self, spec, happened)
        self.looking.ready.set()
        return self.looking

    def unlook(self, looking):
        self.looking = None

    def say(self, word, _name, camera, message):
        assert word == "tell"
        self.messages.append(message)
        list(self.lookers[camera].told(pickle.loads(pickle.dumps(message))))

    def see(self, camera, *faces, frames=8):
        for _ in range(frames):
            self.stage.faces = list(faces)
            for event in self.lookers[camera].frame(picture(self.at), self.at):
                self.looking.happened(camera, event)
            self.at = round(self.at + 0.1, 3)

    def leave(self, camera):
        self.see(camera, frames=70)


@dataclass
class Rights:
    """`Context.subjects`: who belongs to which access point, as a test says."""

    at: dict[str, set[str]] = field(default_factory=dict)
    credentials: dict[str, int] = field(default_factory=dict)
    callbacks: list = field(default_factory=list)

    def admitted(self, access_point, subjects):
        return frozenset(subjects) & self.at.get(access_point, set())

    def credential(self, subject):
        return self.credentials.get(subject)

    def on_change(self, callback):
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def change(self, access_point, *subjects):
        self.at[access_point] = set(subjects)
        for callback in list(self.callbacks):
            callback()


class Report:
    def __init__(self):
        self.ready_times = 0
        self.seen = []
        self.prompts = []

    def ready(self):
        self.ready_times += 1

    def __call__(self, recognition):
        self.seen.append(recognition)

    def prompt(self, access_point, message, seconds=3.0, *, refused=False):
        self.prompts.append((access_point, message, refused))

    @property
    def subjects(self):
        return [one.subject for one in self.seen]


class Site:
    """A site with a face service, rights and cameras; `it` is the recognizer."""

    def __init__(self, folder, points, options):
        self.cameras, self.rights, self.report = Here(), Rights(), Report()
        self.published = []
        files = SimpleNamespace(folder=folder, subkey=lambda purpose: purpose.encode().ljust(32, b"."))
        facts = SimpleNamespace(publish=lambda kind, **data: self.published.append((kind, data)))
        granted = {"files": files, "subjects": self.rights, "facts": facts}
        services = {Cameras: self.cameras}
        context = Context(
            "face", structlog.get_logger("face"), TrustedClock(), granted=granted,
            view=SimpleNamespace(access_points={point.id: point for point in points}),
            find_service=lambda cls: services[cls],
        )  # fmt: skip
        config = FaceOptions.model_validate(options)
        self.faces = services[Faces] = Faces(context, config)
        self.it = FaceRecognizer(context, config, self.report)

    async def enrol(self, subject, vector, *points):
        self.rights.credentials[subject] = 1000 + len(self.rights.credentials)
        await self.faces.enrol(subject, [template(vector)], 1.0)
        for point in points:
            self.rights.change(point, *self.rights.at.get(point, set()), subject)

    def expect(self, *subjects, point="gate-in"):
        self.it.expect(point, tuple(owner(self.rights.credentials[subject]) for subject in subjects))

    async def until(self, condition):
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.005)

    def admitted(self, point="gate-in"):
        found = self.it._admitted.get(point)
        return None if found is None else found.subjects


def owner(number):
    return Credential(number, 7, CredentialState.ENABLED, 0.0, FOREVER, (), frozenset({FACE}))


def point(level, door="gate"):
    return AccessPoint(f"{door}-in", door, "", (LevelInForce(level),), cameras=(f"{door}-cam",))


@pytest.fixture(autouse=True)
def _networks(monkeypatch):
    """The networks' files are none of this file's matter, save where a test says so; and nobody waits."""
    monkeypatch.setattr(packages, "PACKAGES", {})
    monkeypatch.setattr(models, "verify", lambda _folder, _models: [])
    monkeypatch.setattr(recognizer, "PAUSE", 0.0)


@asynccontextmanager
async def site(folder, *points, options=None):
    made = Site(folder, points or (point(BOTH),), options or {})
    running = asyncio.create_task(made.it.run())
    try:
        await made.until(lambda: made.report.ready_times or running.done())
        yield made
    finally:
        running.cancel()
        await asyncio.wait({running})
        await made.faces.close()
        if not running.cancelled():
            running.result()


async def test_after_the_card_the_person_it_named_is_recognised(tmp_path):
    async with site(tmp_path) as it:
        await it.enrol("anna", ANNA, "gate-in")
        await it.until(lambda: it.admitted() == {"anna"})
        it.cameras.see("gate-cam", Face(ANNA))
        assert it.report.seen == []
        it.expect("anna")
        it.cameras.see("gate-cam", Face(ANNA))
        (seen,) = it.report.seen
        assert (seen.access_point, seen.subject, seen.score, seen.liveness) == (
            "gate-in",
            "anna",
            1.0,
            "none",
        )


async def test_somebody_else_than_the_card_named_is_told_so_and_not_taken_for_a_stranger(tmp_path):
    async with site(tmp_path) as it:
        await it.enrol("anna", ANNA, "gate-in")
        await it.enrol("ben", BEN, "gate-in")
        await it.until(lambda: it.admitted() == {"anna", "ben"})
        it.expect("anna")
        it.cameras.see("gate-cam", Face(BEN))
        assert it.report.seen == []
        assert ("gate-in", "face.door.not_recognised", True) in it.report.prompts


async def test_whom_a_card_named_who_is_not_enrolled_is_nobody(tmp_path):
    async with site(tmp_path, point(ALONE), options=ONE_FACE) as it:
        await it.enrol("anna", ANNA, "gate-in")
        await it.until(lambda: it.admitted() == {"anna"})
        it.it.expect("gate-in", (owner(5),))
        it.cameras.see("gate-cam", Face(ANNA))
        assert it.report.seen == []


async def test_when_the_first_factor_has_ended_everybody_is_looked_for_where_a_face_is_enough(tmp_path):
    async with site(tmp_path, point(ALONE), options=ONE_FACE) as it:
        await it.enrol("anna", ANNA, "gate-in")
        await it.until(lambda: it.admitted() == {"anna"})
        it.it.expect("gate-in", (owner(5),))
        it.expect()
        it.cameras.see("gate-cam", Face(ANNA))
        assert it.report.subjects == ["anna"]


async def test_a_stranger_is_told_once(tmp_path):
    async with site(tmp_path, point(ALONE), options=ONE_FACE) as it:
        await it.enrol("anna", ANNA, "gate-in")
        await it.until(lambda: it.admitted() == {"anna"})
        it.cameras.see("gate-cam", Face(STRANGER), frames=40)
        assert it.report.subjects == [None]
        assert it.published == []


async def test_each_door_knows_its_own_people_only(tmp_path):
    async with site(tmp_path, point(BOTH), point(BOTH, "unit")) as it:
        await it.enrol("anna", ANNA, "gate-in")
        await it.enrol("ben", BEN, "unit-in")
        await it.until(lambda: (it.admitted(), it.admitted("unit-in")) == ({"anna"}, {"ben"}))
        it.expect("anna", "ben", point="unit-in")
        it.cameras.see("unit-cam", Face(ANNA))
        assert it.report.seen == []


async def test_a_withdrawal_reaches_the_cameras_before_it_is_over(tmp_path):
    async with site(tmp_path, point(ALONE), options=ONE_FACE) as it:
        await it.enrol("anna", ANNA, "gate-in")
        await it.until(lambda: it.admitted() == {"anna"})
        await it.faces.withdraw("anna")
        it.cameras.see("gate-cam", Face(ANNA))
        assert it.report.subjects == [None]


async def test_whoever_loses_the_right_is_unknown_and_their_templates_leave_the_worker(tmp_path):
    async with site(tmp_path, point(ALONE), options=ONE_FACE) as it:
        await it.enrol("anna", ANNA, "gate-in")
        await it.until(lambda: it.admitted() == {"anna"})
        it.rights.change("gate-in")
        await it.until(lambda: it.admitted() == frozenset())
        it.cameras.see("gate-cam", Face(ANNA))
        assert it.report.subjects == [None]
        assert it.cameras.lookers["gate-cam"]._shelf.gallery.subjects == ()


async def test_a_new_enrolment_takes_the_place_of_the_old_one(tmp_path):
    async with site(tmp_path, point(ALONE), options=ONE_FACE) as it:
        await it.enrol("anna", BEN, "gate-in")
        await it.until(lambda: it.admitted() == {"anna"})
        await it.faces.enrol("anna", [template(ANNA)], 2.0)
        shelf = it.cameras.lookers["gate-cam"]._shelf
        await it.until(lambda: shelf.gallery.distances(ANNA)[0] == 0)
        it.cameras.see("gate-cam", Face(ANNA))
        assert it.report.subjects == ["anna"]


async def test_templates_are_told_once_and_only_what_changed_afterwards(tmp_path):
    async with site(tmp_path, point(BOTH), point(BOTH, "unit")) as it:
        await it.enrol("anna", ANNA, "gate-in", "unit-in")
        await it.until(lambda: it.admitted("unit-in") == {"anna"})
        it.cameras.messages.clear()
        await it.enrol("ben", BEN, "unit-in")
        await it.until(lambda: it.admitted("unit-in") == {"anna", "ben"})
        told = [one for one in it.cameras.messages if isinstance(one, recognizer.Known)]
        assert [one.templates.subjects for one in told] == [("ben",)]
        assert it.report.ready_times == 1


async def test_more_people_than_fit_into_a_message_are_told_in_several(tmp_path, monkeypatch):
    monkeypatch.setattr(recognizer, "PART", 2)
    monkeypatch.setattr(recognizer, "SLICE", 1)
    made = Site(tmp_path, (point(BOTH),), {})
    for number in range(5):
        await made.enrol(f"s{number}", np.eye(128, dtype=np.float32)[number], "gate-in")
    running = asyncio.create_task(made.it.run())
    await made.until(lambda: made.report.ready_times)
    told = [len(one.templates) for one in made.cameras.messages if isinstance(one, recognizer.Known)]
    assert told == [2, 2, 1]
    assert len(made.cameras.lookers["gate-cam"]._shelf.gallery) == 5
    running.cancel()
    await asyncio.wait({running})
    await made.faces.close()


async def test_with_more_people_than_acknowledged_no_face_alone_opens_and_the_installer_is_told(tmp_path):
    async with site(tmp_path, point(ALONE), options=ONE_FACE) as it:
        for number, subject in enumerate(("anna", "ben", "cui")):
            await it.enrol(subject, np.eye(128, dtype=np.float32)[number], "gate-in")
        await it.until(lambda: it.admitted() == {"anna", "ben", "cui"})
        it.cameras.see("gate-cam", Face(ANNA))
        assert it.report.seen == []
        (repair,) = [one for one in it.it.repairs() if one.key == "face-crowded:gate"]
        assert repair.values == {"door": "gate", "count": "3", "people": "2"}
        await it.faces.withdraw("cui")
        await it.until(lambda: it.admitted() == {"anna", "ben"})
        assert "face-crowded:gate" not in [one.key for one in it.it.repairs()]
        it.cameras.see("gate-cam", Face(ANNA, x=20))
        assert it.report.subjects == ["anna"]


async def test_a_demonstration_is_told_as_long_as_it_lasts(tmp_path):
    async with site(tmp_path, point(ALONE), options=ONE_FACE) as it:
        assert [one.key for one in it.it.repairs()] == ["face-demonstration"]


async def test_hints_are_for_whoever_is_awaited_and_not_faster_than_they_can_be_read(tmp_path, monkeypatch):
    async with site(tmp_path, point(ALONE), options=ONE_FACE) as it:
        await it.enrol("anna", ANNA, "gate-in")
        await it.until(lambda: it.admitted() == {"anna"})
        hint = {"kind": "guidance", "flaws": ["too_small", "blurred"]}
        it.cameras.looking.happened("gate-cam", hint)
        assert it.report.prompts == []
        it.expect("anna")
        for _ in range(3):
            it.cameras.looking.happened("gate-cam", hint)
        assert it.report.prompts == [("gate-in", "face.flaw.too_small", False)]


async def test_a_head_turn_is_prompted_and_the_last_failure_is_told_and_recorded_without_a_name(tmp_path):
    async with site(tmp_path) as it:
        happened = it.cameras.looking.happened
        happened("gate-cam", {"kind": "prompt", "side": "left", "seconds": 8.0})
        happened("gate-cam", {"kind": "not_live", "failure": "wrong_side", "again": True})
        assert it.published == []
        happened("gate-cam", {"kind": "not_live", "failure": "flat", "again": False})
        assert it.report.prompts == [
            ("gate-in", "face.turn.left", False),
            ("gate-in", "face.liveness.flat", True),
        ]
        facts = {"door": "gate", "access_point": "gate-in", "data": {"failure": "flat", "method": "none"}}
        assert it.published == [("NotLive", facts)]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"kind": "prompt", "side": "up", "seconds": 8.0},
        {"kind": "prompt", "side": "left", "seconds": "long"},
        {"kind": "not_live", "failure": "ugly"},
        {"kind": "guidance", "flaws": ["door.granted"]},
        {"kind": "guidance", "flaws": 3},
        {"kind": "recognized", "subject": "anna", "score": "high", "at": 1.0, "liveness": "none"},
        {"kind": "recognized", "subject": "anna"},
    ],
)
async def test_what_the_worker_says_wrongly_moves_nothing(tmp_path, event):
    async with site(tmp_path) as it:
        await it.enrol("anna", ANNA, "gate-in")
        await it.until(lambda: it.admitted() == {"anna"})
        it.expect("anna")
        with pytest.raises((LookupError, TypeError, ValueError)):
            it.cameras.looking.happened("gate-cam", event)
        assert it.report.seen == it.report.prompts == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
EVENT = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["recognized", "unknown", "prompt", "not_live", "guidance"]) | ANYTHING,
        **dict.fromkeys(("subject", "score", "at", "liveness", "seconds", "failure", "again"), ANYTHING),
        "side": st.sampled_from(["left", "right"]) | ANYTHING,
        "flaws": st.lists(st.sampled_from(["blurred", "no_face"]), max_size=2) | ANYTHING,
    },
)


@given(events=st.lists(EVENT, max_size=8))
@settings(max_examples=settings.default.max_examples * 3 // 2)
def test_whatever_the_worker_says_names_nobody_and_shows_only_our_own_sentences(events):
    report = Report()
    facts = SimpleNamespace(publish=lambda *_args, **_data: None)
    context = Context("face", structlog.get_logger("face"), TrustedClock(), granted={"facts": facts})
    it = FaceRecognizer(context, FaceOptions(), report)
    it._plans = {plan.access_point: plan for plan in plans.make(FaceOptions(), [point(BOTH)], DLIB).plans}
    it._points, it._expected = {"gate-cam": "gate-in"}, {"gate-in": frozenset({5})}
    it._admitted["gate-in"] = Admit(frozenset({"anna"}), False)
    for event in events:
        try:
            it._happened("gate-cam", event)
        except (ArithmeticError, LookupError, TypeError, ValueError):  # what `Cameras` takes for nonsense
            continue
    assert report.seen == []
    assert {message for _, message, _ in report.prompts} <= SENTENCES


async def test_somebody_the_worker_should_not_know_any_more_is_not_passed_on(tmp_path):
    async with site(tmp_path) as it:
        late = {"kind": "recognized", "subject": "gone", "score": 0.9, "at": 1.0, "liveness": "none"}
        it.cameras.looking.happened("gate-cam", late)
        assert it.report.seen == []


async def test_a_lost_worker_ends_the_recognizer_with_what_it_said(tmp_path):
    made = Site(tmp_path, (point(BOTH),), {})
    running = asyncio.create_task(made.it.run())
    await made.until(lambda: made.report.ready_times)
    made.cameras.looking.trouble = "the camera worker ended by SIGSEGV"
    made.cameras.looking.lost.set()
    with pytest.raises(NotReady, match="SIGSEGV"):
        await running
    assert made.cameras.looking is None and made.rights.callbacks == []
    await made.faces.enrol("anna", [template(ANNA)], 1.0)  # nobody listens any more
    made.expect(point="gate-in")
    await made.faces.close()


async def test_missing_files_and_packages_are_named_and_tried_again(tmp_path, monkeypatch):
    made = Site(tmp_path, (point(BOTH),), {})
    monkeypatch.setattr(packages, "PACKAGES", {"not_installed_here": "deepface"})
    with pytest.raises(NotReady, match="deepface"):
        await made.it.run()
    assert [one.message for one in made.it.repairs()] == ["face.cli.packages"]
    monkeypatch.setattr(packages, "PACKAGES", {})
    monkeypatch.setattr(models, "verify", lambda _f, _m: [Problem("Dlib", "net.dat", Trouble.ALTERED)])
    with pytest.raises(NotReady, match=r"net\.dat"):
        await made.it.run()
    assert [one.message for one in made.it.repairs()] == ["face.model.altered"]
    assert made.cameras.looking is None


async def test_a_network_chosen_for_the_next_start_is_not_compared_with_templates_of_this_one(tmp_path):
    made = Site(tmp_path, (point(BOTH),), {})
    assert made.faces.model is DLIB
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / choice.FILE).write_text('{"embedder": "SFace"}', "utf-8")
    running = asyncio.create_task(made.it.run())
    await made.until(lambda: made.report.ready_times)
    assert made.cameras.spec.options.embedder == DLIB.name
    assert made.cameras.spec.options.cameras["gate-cam"].threshold == DLIB.threshold
    running.cancel()
    await asyncio.wait({running})
    await made.faces.close()


async def test_a_vault_that_does_not_open_is_not_ready(tmp_path):
    (tmp_path / "vault").write_text("no folder", "utf-8")
    made = Site(tmp_path, (point(BOTH),), {})
    with pytest.raises(NotReady):
        await made.it.run()


async def test_a_site_without_such_doors_loads_no_network(tmp_path):
    async with site(tmp_path, point(ALONE)) as it:  # not acknowledged: it is left alone
        assert it.report.ready_times == 1
        assert it.cameras.looking is None
        it.it.expect("gate-in", (owner(5),))
