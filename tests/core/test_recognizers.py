"""Recognizers and the line: what a camera says opens a door only by the same rules as a card."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest

from menwei.context import Config, NotReady
from menwei.model import (
    AccessPoint,
    CredentialIdentifier,
    FeedbackKind,
    IdentifierType,
    LevelInForce,
    SecurityLevel,
)
from menwei.plugin import Recognizer
from menwei.queues import Queues
from menwei.recognizers import LONGEST_PROMPT, UNKNOWN_SHOWN, Recognizers, Wanted
from menwei.reports import Recognition
from menwei.snapshot import Delta
from menwei.supervisor import DeviceState
from small_site import CARD, CARD_ONLY, KEYS, LIN, LIN_CARD, WANG_CARD, credential, small_site
from waiting import until

FACE, QRCODE = IdentifierType.FACE, IdentifierType.QRCODE
FACE_ALONE = SecurityLevel("Face", (frozenset({FACE}),))
CARD_AND_FACE = SecurityLevel("Card and Face", (frozenset({CARD, FACE}),))
QR_ALONE = SecurityLevel("QRCode", (frozenset({QRCODE}),))
LIN_FACE, PASS = "holder-1010", "visit-7"


class Scripted(Recognizer):
    """Says what a test tells it to; only the camera and the network are missing."""

    name = "scripted"
    Config = Config
    identifier = FACE
    format = "subject"

    def __init__(self, report, script):
        self.report = report
        self.script = script
        script.lives.append(self)

    async def run(self):
        if self.script.fails:
            raise self.script.fails.pop(0)
        self.report.ready()
        await self.script.lost.wait()
        self.script.lost.clear()
        raise NotReady("the worker is gone")

    def expect(self, access_point, credentials):
        self.script.expected.append((access_point, tuple(one.id for one in credentials)))
        if self.script.stubborn:
            raise ValueError("I expect nobody")


class ScriptedCodes(Scripted):
    identifier = QRCODE
    format = "menwei"


class Script:
    def __init__(self, fails=()):
        self.fails = list(fails)
        self.lost = asyncio.Event()
        self.lives: list[Scripted] = []
        self.expected: list[tuple[str, tuple[int, ...]]] = []
        self.stubborn = False


class Watched:
    """A small site whose gate has a camera, its hub and one scripted recognizer."""

    def __init__(self, site, hub, script, queues):
        self.site, self.hub, self.script, self.queues = site, hub, script, queues

    def see(self, subject, *, age=0.0, point="gate-in", score=0.9, liveness=""):
        captured = self.site.clock.monotonic() - age
        self.script.lives[-1].report(Recognition(point, subject, score, captured, liveness))

    async def decided(self, *kinds):
        """The entries of these kinds once everything that was submitted is decided."""
        await until(lambda: self.queues.idle)
        async with self.site.door.lock:
            pass
        return await self.site.entries(*kinds)


@asynccontextmanager
async def watched(folder, *levels: SecurityLevel, cls=Scripted, fails=(), pin_timeout=5.0):
    async with small_site(folder) as site:
        at = tuple(LevelInForce(level) for level in levels or (FACE_ALONE,))
        points = {
            "gate-in": AccessPoint(
                "gate-in", "gate", "进", at, cameras=("gate-cam",), pin_timeout=pin_timeout
            ),
            "gate-out": AccessPoint("gate-out", "gate", "出", (LevelInForce(CARD_ONLY),)),
        }
        person = credential(LIN, factors=frozenset({CARD, FACE, QRCODE}))
        digests = {
            KEYS.digest(CredentialIdentifier(CARD, "uid", LIN_CARD)): LIN,
            KEYS.digest(CredentialIdentifier(FACE, "subject", LIN_FACE)): LIN,
            KEYS.digest(CredentialIdentifier(QRCODE, "menwei", PASS)): LIN,
        }
        site.snapshot.apply(Delta(2, {LIN: person}, digests, {}))
        site.line.points = points
        hub = Recognizers(site.journal, site.clock, lambda *what: site.shown.append(what))
        hub.view, hub.times = site.snapshot, lambda: site.line.times
        site.line.expect = hub.expect
        queues = Queues(site.line, lambda _point: pytest.fail("a queue ran over"))
        hub.submit = queues.submit
        work = asyncio.create_task(queues.run())
        script = Script(fails)
        await hub.replace({"it": Wanted(cls, lambda report: cls(report, script))}, points)
        await hub.start()
        if not fails:
            await until(lambda: hub.states()["it"][0] is DeviceState.READY)
        try:
            yield Watched(site, hub, script, queues)
        finally:
            await hub.stop()
            work.cancel()


async def test_a_recognised_face_opens_the_door_like_a_card(tmp_path):
    async with watched(tmp_path) as it:
        it.see(LIN_FACE)
        await until(lambda: it.site.board.pulses)
        (entry,) = await it.decided("AccessGranted")
        assert entry.data["factors"] == ["Face"]


async def test_the_record_says_by_what_and_how_surely_the_person_was_recognised(tmp_path):
    async with watched(tmp_path) as it:
        it.see(LIN_FACE, score=0.87654, liveness="head_turn")
        await until(lambda: it.site.board.pulses)
        (entry,) = await it.decided("AccessGranted")
        assert entry.data["recognition"] == {"recognizer": "it", "score": 0.8765, "liveness": "head_turn"}


@pytest.mark.parametrize(
    ("score", "liveness", "kept"),
    [
        (Decimal("0.5"), "", {"score": 0.5}),
        (float("nan"), "\udcff", {}),
        (float("inf"), "a\x00b", {"liveness": "ab"}),
    ],
)
async def test_what_a_recognizer_says_oddly_neither_stops_the_door_nor_is_kept(
    tmp_path, score, liveness, kept
):
    async with watched(tmp_path) as it:
        it.see(LIN_FACE, score=score, liveness=liveness)
        await until(lambda: it.site.board.pulses)
        (entry,) = await it.decided("AccessGranted")
        assert entry.data["recognition"] == {"recognizer": "it", **kept}


async def test_a_recognizer_cannot_claim_a_card(tmp_path):
    async with watched(tmp_path) as it:
        it.see(LIN_CARD)
        (entry,) = await it.decided("AccessDenied")
        assert entry.data["checks"][0]["reason"] == "CredentialNotFound"
        assert it.site.board.pulses == []


async def test_a_recognizer_is_not_heard_for_an_access_point_it_does_not_serve(tmp_path):
    async with watched(tmp_path) as it:
        it.see(LIN_FACE, point="gate-out")
        it.see(LIN_FACE, point="nowhere")
        assert await it.decided("AccessGranted", "AccessDenied") == []


@pytest.mark.parametrize("age", [1.6, 60.0])
async def test_a_recognition_older_than_a_second_and_a_half_opens_nothing(tmp_path, age):
    async with watched(tmp_path) as it:
        it.see(LIN_FACE, age=age)
        (entry,) = await it.decided("AccessDenied")
        assert entry.data["says"] == "door.too_late"
        assert it.site.board.pulses == []


async def test_a_recognition_from_the_future_is_taken_as_of_now(tmp_path):
    async with watched(tmp_path) as it:
        it.see(LIN_FACE, age=-3600)
        it.see(LIN_FACE, age=float("nan"))
        await until(lambda: it.site.board.pulses)
        (entry,) = await it.decided("AccessGranted")
        assert abs(entry.at - it.site.clock.now()) < 60


async def test_a_stranger_is_told_once_and_leaves_no_entry(tmp_path):
    async with watched(tmp_path) as it:
        for _ in range(5):
            it.see(None)
        (shown,) = it.site.shown
        assert (shown[0], shown[1].kind, shown[1].text) == (
            "gate-in",
            FeedbackKind.DENIED,
            "door.not_registered",
        )
        assert await it.decided("AccessGranted", "AccessDenied") == []


async def test_the_next_stranger_is_told_too(tmp_path, monkeypatch):
    async with watched(tmp_path) as it:
        it.see(None)
        later = it.site.clock.monotonic() + UNKNOWN_SHOWN
        monkeypatch.setattr(it.site.clock, "monotonic", lambda: later)
        it.see(None)
        assert len(it.site.shown) == 2


async def test_a_stranger_of_a_moment_ago_is_not_told(tmp_path):
    async with watched(tmp_path) as it:
        it.see(None, age=2.0)
        assert it.site.shown == []


async def test_a_face_that_passes_by_a_door_of_card_and_face_leaves_no_trace(tmp_path):
    async with watched(tmp_path, CARD_AND_FACE) as it:
        it.see(LIN_FACE)
        it.see(None)
        assert await it.decided("AccessGranted", "AccessDenied") == []
        assert it.site.shown == []


async def test_after_the_card_the_recognizer_is_told_whom_to_expect_and_the_face_opens(tmp_path):
    async with watched(tmp_path, CARD_AND_FACE) as it:
        await it.site.line.request(it.site.card(LIN_CARD))
        assert it.script.expected == [("gate-in", (LIN,))]
        it.see(LIN_FACE)
        await until(lambda: it.site.board.pulses)
        (entry,) = await it.decided("AccessGranted")
        assert entry.data["factors"] == ["Card", "Face"]
        assert it.script.expected[-1] == ("gate-in", ())


async def test_when_nobody_looks_into_the_camera_everybody_is_looked_for_again(tmp_path):
    async with watched(tmp_path, CARD_AND_FACE, pin_timeout=0.1) as it:
        await it.site.line.request(it.site.card(LIN_CARD))
        await until(lambda: len(it.script.expected) == 2)
        assert it.script.expected[-1] == ("gate-in", ())
        (entry,) = await it.decided("AccessDenied")
        assert entry.data["says"] == "door.timeout"


async def test_the_card_of_one_and_the_face_of_another_open_nothing(tmp_path):
    async with watched(tmp_path, CARD_AND_FACE) as it:
        other = replace(it.site.snapshot.find(KEYS.digest(CredentialIdentifier(CARD, "uid", WANG_CARD))))
        other = replace(other, factors=frozenset({CARD, FACE}))
        it.site.snapshot.apply(Delta(3, {other.id: other}, {}, {}))
        await it.site.line.request(it.site.card(WANG_CARD))
        it.see(LIN_FACE)
        (entry,) = await it.decided("AccessDenied")
        assert entry.data["says"] == "door.two_people"


async def test_a_recognizer_that_cannot_be_told_does_not_stop_the_door(tmp_path):
    async with watched(tmp_path, CARD_AND_FACE) as it:
        it.script.stubborn = True
        await it.site.line.request(it.site.card(LIN_CARD))
        it.see(LIN_FACE)
        await until(lambda: it.site.board.pulses)


async def test_a_recognizer_that_begins_anew_learns_who_is_awaited(tmp_path):
    async with watched(tmp_path, CARD_AND_FACE) as it:
        await it.site.line.request(it.site.card(LIN_CARD))
        it.script.lost.set()
        await until(lambda: len(it.script.lives) == 2 and len(it.script.expected) == 2)
        assert it.script.expected == [("gate-in", (LIN,))] * 2


async def test_a_code_that_is_shown_counts_as_presented_before_the_card(tmp_path):
    level = SecurityLevel("Card and QRCode", (frozenset({CARD, QRCODE}),))
    async with watched(tmp_path, level, cls=ScriptedCodes) as it:
        it.see(PASS)
        await until(lambda: any(feedback.kind is FeedbackKind.WAITING for _, feedback in it.site.shown))
        await it.site.line.request(it.site.card(LIN_CARD))
        assert len(it.site.board.pulses) == 1


async def test_a_lost_worker_is_seen_and_tried_again_and_cards_open_meanwhile(tmp_path):
    either = SecurityLevel("Card or Face", (frozenset({CARD}), frozenset({FACE})))
    async with watched(tmp_path, either, fails=[NotReady("no worker")]) as it:
        await until(lambda: it.hub.states()["it"][0] is DeviceState.RETRYING)
        assert it.hub.states()["it"][1] == "no worker"
        assert [repair.message for repair in it.hub.repairs()] == ["recognizer.repair.retrying"]
        await it.site.line.request(it.site.card(LIN_CARD))
        assert len(it.site.board.pulses) == 1
        await until(lambda: it.hub.states()["it"][0] is DeviceState.READY)
        states = [entry.data["state"] for entry in await it.site.entries("RecognizerState")]
        assert states == ["retrying", "ready"]


async def test_a_faulty_recognizer_is_named(tmp_path):
    async with watched(tmp_path, fails=[ZeroDivisionError("oh")]) as it:
        await until(lambda: it.hub.states()["it"][0] is DeviceState.FAILED)
        assert [repair.severity for repair in it.hub.repairs()] == ["error"]


async def test_a_recognizer_begins_anew_when_its_access_points_change_and_only_then(tmp_path):
    async with watched(tmp_path) as it:
        wanted = {"it": Wanted(Scripted, lambda report: Scripted(report, it.script))}
        points = dict(it.hub.points)
        await it.hub.replace(wanted, points)
        assert len(it.script.lives) == 1
        points["gate-in"] = replace(points["gate-in"], cameras=("gate-cam", "gate-cam-2"))
        await it.hub.replace(wanted, points)
        await until(lambda: len(it.script.lives) == 2)


@pytest.mark.parametrize("value", ["", "x" * 513])
async def test_a_value_of_impossible_length_is_dropped(tmp_path, value):
    async with watched(tmp_path, QR_ALONE, cls=ScriptedCodes) as it:
        it.see(value)
        assert await it.decided("AccessGranted", "AccessDenied") == []


async def test_a_recognizer_asks_the_person_before_the_camera_for_something(tmp_path):
    async with watched(tmp_path, CARD_AND_FACE) as it:
        await it.site.line.request(it.site.card(LIN_CARD))
        it.site.shown.clear()
        it.script.lives[-1].report.prompt("gate-in", "face.turn.left", 8.0)
        it.script.lives[-1].report.prompt("gate-in", "face.liveness.flat", 1e9, refused=True)
        assert [(point, one.kind, one.text, one.seconds) for point, one in it.site.shown] == [
            ("gate-in", FeedbackKind.WAITING, "face.turn.left", 8.0),
            ("gate-in", FeedbackKind.DENIED, "face.liveness.flat", LONGEST_PROMPT),
        ]


async def test_nobody_is_spoken_to_where_no_face_is_asked_for(tmp_path):
    async with watched(tmp_path, CARD_AND_FACE) as it:
        for point in ("gate-in", "gate-out", "nowhere"):
            it.script.lives[-1].report.prompt(point, "face.turn.left", 8.0)
        assert it.site.shown == []


@pytest.mark.parametrize("seconds", [float("nan"), 0.0, -1.0])
async def test_a_prompt_for_no_time_is_none(tmp_path, seconds):
    async with watched(tmp_path) as it:
        it.script.lives[-1].report.prompt("gate-in", "face.turn.left", seconds)
        assert it.site.shown == []
