"""Between the recognizers and the line: what they recognise becomes requests, and they learn who is expected.

A recognizer says a value and nothing else. Its identifier type and format are its class's, stamped here; it is heard
only for access points that have a camera and whose security levels ask for that type; and what is seen of somebody who
presents nothing (a face) counts only where the level in force asks for it now. Who merely walks past a door that does
not ask for faces leaves no trace there.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from menwei.access import READ_LIFETIME, READ_LIFETIME_ELSE
from menwei.announcement import clean
from menwei.context import Clock, Repair
from menwei.decide import Times as Schedules
from menwei.decide import View, level_in_force
from menwei.journal import Entry, Journal
from menwei.model import (
    AccessPoint,
    CredentialIdentifier,
    DeviceInfo,
    Feedback,
    FeedbackKind,
    IdentifierType,
    Outcome,
    Request,
    Verdict,
)
from menwei.plugin import Recognizer
from menwei.reports import Recognition
from menwei.supervisor import DeviceState, Ready, Supervised, Supervisor, Times

log = structlog.get_logger(__name__)

SEEN = frozenset({IdentifierType.FACE})
"""What a person does not present: a camera sees it of whoever comes near."""
LONGEST = 512
"""Characters of a recognised value; a QR code may say more, and then it is none of ours."""
UNKNOWN_SHOWN = 3.0
"""Seconds for which a door says that somebody is not registered, and does not say it again."""
LIVENESS = 32
"""Characters of what a recognizer says of liveness that are kept."""
LONGEST_PROMPT = 30.0
"""Seconds for which a recognizer may ask somebody at a door to do something."""
LOADING = Times(loading=180.0)
"""Networks are read and checked byte by byte at start, on machines with slow disks."""

Make = Callable[["Reports"], Recognizer]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One recognizer of the site. `make` gives a fresh one for each attempt; `settings` are only compared."""

    cls: type[Recognizer]
    make: Make
    settings: Any = None


@dataclass(slots=True)
class _Hearing:
    """What is awaited at one access point after a first factor: the types that are missing, and for how long."""

    missing: frozenset[IdentifierType]
    holder: int
    timer: asyncio.TimerHandle


class Recognizers:
    """All recognizers of the site. `on` says for which access points each is heard."""

    def __init__(self, journal: Journal, clock: Clock, show: Callable[[str, Feedback], None]) -> None:
        self._journal = journal
        self._clock = clock
        self._show = show
        self._supervisor = Supervisor({}, LOADING)
        self._supervisor.on_change(self._changed)
        self._classes: dict[str, type[Recognizer]] = {}
        self._awaited: dict[str, _Hearing] = {}
        self._told_unknown: dict[str, float] = {}
        self._unheard: set[tuple[str, str]] = set()
        self.points: Mapping[str, AccessPoint] = {}
        self.submit: Callable[[Request], None] = lambda _request: None
        self.view: View | None = None
        self.times: Callable[[], Schedules] | None = None
        """The compiled schedules as they are now."""

    # ------------------------------------------------------------------------------------------------------- its life

    async def start(self) -> None:
        await self._supervisor.start()

    async def stop(self) -> None:
        for hearing in self._awaited.values():
            hearing.timer.cancel()
        self._awaited.clear()
        await self._supervisor.stop()

    async def replace(self, wanted: Mapping[str, Wanted], points: Mapping[str, AccessPoint]) -> None:
        """Take a new config. A recognizer begins anew when its options, or the access points it serves, are others."""
        self.points = points
        self._classes = {name: one.cls for name, one in wanted.items()}
        supervised = {
            name: Supervised(
                partial(self._made, name, one), settings=(one.settings, self._facts(one.cls.identifier))
            )
            for name, one in wanted.items()
        }
        await self._supervisor.replace(supervised)

    def _made(self, name: str, wanted: Wanted, announce: Ready) -> Recognizer:
        return wanted.make(Reports(self, name, wanted.cls, announce))

    def _facts(self, kind: IdentifierType) -> tuple[AccessPoint, ...]:
        return tuple(point for point in self.points.values() if point.watched_for(kind))

    def states(self) -> dict[str, tuple[DeviceState, str]]:
        """Recognizer → where it stands, in the words of devices, and what it said about it."""
        return self._supervisor.states()

    def repairs(self) -> list[Repair]:
        return self._supervisor.repairs("recognizer")

    def _changed(self, name: str, state: DeviceState, text: str) -> None:
        if state in {DeviceState.READY, DeviceState.RETRYING, DeviceState.FAILED}:
            data = {"recognizer": name, "state": state, "text": text[:200]}
            self._journal.post(Entry("RecognizerState", self._clock.now(), data=data))
        if state is DeviceState.READY:  # it begins without knowing who is awaited meanwhile
            for access_point, hearing in list(self._awaited.items()):
                if point := self.points.get(access_point):
                    self._tell(point, hearing.missing, hearing.holder, only=name)

    # ----------------------------------------------------------------------------------------------- from the cameras

    def recognised(self, name: str, cls: type[Recognizer], recognition: Recognition) -> None:
        """One recognition of the recognizer `name`. What cannot be acted on is dropped here, without a trace."""
        point = self.points.get(recognition.access_point)
        if point is None or not point.watched_for(cls.identifier):
            self._not_its(name, recognition.access_point)
            return
        now = self._clock.monotonic()
        captured = recognition.captured
        if not math.isfinite(captured):
            log.error("a recognition without a time", recognizer=name, access_point=point.id)
            return
        captured = min(captured, now)
        if not self._asked_for(point, cls.identifier):
            return
        if recognition.subject is None:
            self._unknown(point.id, now, now - captured, cls.identifier)
            return
        if not 0 < len(recognition.subject) <= LONGEST:
            log.warning(
                "a recognised value of this length is none",
                recognizer=name,
                access_point=point.id,
                length=len(recognition.subject),
            )
            return
        identifier = CredentialIdentifier(cls.identifier, cls.format, recognition.subject)
        at = self._clock.now() - (now - captured)
        self.submit(Request(point.id, (identifier,), at, captured, _evidence(name, recognition)))

    def prompted(
        self,
        name: str,
        cls: type[Recognizer],
        access_point: str,
        message: str,
        seconds: float,
        refused: bool,
    ) -> None:
        """A recognizer wants something of the person before the camera. Nobody is spoken to where it is not asked."""
        point = self.points.get(access_point)
        if point is None or not point.watched_for(cls.identifier):
            self._not_its(name, access_point)
        elif self._asked_for(point, cls.identifier) and seconds > 0:  # not for NaN either
            kind = FeedbackKind.DENIED if refused else FeedbackKind.WAITING
            self._show(point.id, Feedback(kind, message, min(seconds, LONGEST_PROMPT)))

    def _asked_for(self, point: AccessPoint, kind: IdentifierType) -> bool:
        """Is this type needed here now? What is only seen must be enough by itself, or be awaited after a first factor:
        otherwise everybody who passes by would be on record."""
        if self.times is None:
            return False
        level = level_in_force(point.levels, self.times(), self._clock.now())
        if level is None or not level.uses(kind):
            return False
        hearing = self._awaited.get(point.id)
        awaited = hearing is not None and kind in hearing.missing
        return kind not in SEEN or awaited or level.met_by(frozenset({kind}))

    def _unknown(self, point: str, now: float, age: float, kind: IdentifierType) -> None:
        """Somebody who is not enrolled for this door: told to them once, kept nowhere."""
        told = self._told_unknown.get(point)
        if age > READ_LIFETIME.get(kind, READ_LIFETIME_ELSE):
            return
        if told is None or now - told >= UNKNOWN_SHOWN:
            self._told_unknown[point] = now
            self._show(point, Feedback(FeedbackKind.DENIED, "door.not_registered", UNKNOWN_SHOWN))

    def _not_its(self, name: str, access_point: str) -> None:
        if (name, access_point) not in self._unheard:
            self._unheard.add((name, access_point))
            log.error(
                "a recognizer spoke for an access point it does not serve",
                recognizer=name,
                access_point=access_point[:64],
            )

    # ----------------------------------------------------------------------------------------------- towards the cameras

    def expect(self, access_point: str, verdict: Verdict) -> None:
        """`Line.expect`: a first factor announced somebody (PENDING), or that request came to its end."""
        hearing = self._awaited.pop(access_point, None)
        if hearing is not None:
            hearing.timer.cancel()
        point = self.points.get(access_point)
        if point is None:
            return
        if verdict.outcome is not Outcome.PENDING or verdict.credential is None or self.view is None:
            if hearing is not None:
                self._tell(point, hearing.missing, None)
            return
        missing = frozenset(kind for kind in verdict.missing if point.watched_for(kind))
        if hearing is not None and hearing.missing - missing:
            self._tell(point, hearing.missing - missing, None)
        if missing:
            # The line ends what it awaits and says so; the timer is for a line that was replaced meanwhile.
            ended = Verdict(Outcome.DENIED)
            loop = asyncio.get_running_loop()
            timer = loop.call_later(point.pin_timeout + 1.0, self.expect, access_point, ended)
            self._awaited[access_point] = _Hearing(missing, verdict.credential.holder, timer)
            self._tell(point, missing, verdict.credential.holder)

    def _tell(
        self, point: AccessPoint, kinds: frozenset[IdentifierType], holder: int | None, only: str = ""
    ) -> None:
        for name, cls in self._classes.items():
            recognizer = self._supervisor.running(name)
            if (
                cls.identifier not in kinds
                or not isinstance(recognizer, Recognizer)
                or only not in ("", name)
            ):
                continue
            theirs = self.view.of_holder(holder) if self.view is not None and holder is not None else ()
            expected = tuple(one for one in theirs if cls.identifier in one.factors)
            try:
                recognizer.expect(point.id, expected)
            except (
                Exception,
                SystemExit,
            ) as error:  # the door goes on; the recognizer then looks for everybody
                log.error(
                    "a recognizer could not be told whom to expect",
                    recognizer=name,
                    access_point=point.id,
                    error=f"{type(error).__name__}: {error}",
                )


class Reports:
    """The `menwei.reports.Report` of one recognizer."""

    def __init__(self, hub: Recognizers, name: str, cls: type[Recognizer], announce: Ready) -> None:
        self._hub = hub
        self._name = name
        self._cls = cls
        self._announce = announce

    def ready(self) -> None:
        self._announce(DeviceInfo(self._name, self._cls.name))

    def __call__(self, recognition: Recognition, /) -> None:
        self._hub.recognised(self._name, self._cls, recognition)

    def prompt(self, access_point: str, message: str, seconds: float = 3.0, *, refused: bool = False) -> None:
        self._hub.prompted(self._name, self._cls, access_point, message, seconds, refused)


def _evidence(name: str, recognition: Recognition) -> tuple[tuple[str, str | float], ...]:
    score = float(recognition.score)  # of numpy too, which JSON does not know
    found: list[tuple[str, str | float]] = [("recognizer", name)]
    if math.isfinite(score):
        found.append(("score", round(score, 4)))
    if liveness := clean(recognition.liveness, LIVENESS):
        found.append(("liveness", liveness))
    return tuple(found)


__all__ = ["LONGEST", "LONGEST_PROMPT", "SEEN", "UNKNOWN_SHOWN", "Recognizers", "Reports", "Wanted"]
