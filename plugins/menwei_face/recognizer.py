"""The recognizer: what the lookers see becomes recognitions, and they are kept told who belongs to their doors.

The gallery of a door are the enrolled people who have a right there. It follows every enrolment, withdrawal and change
of rights within a second; a withdrawal is told at once. When a card or PIN announced somebody, only they are looked
for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from menwei import (
    AccessPoint,
    Context,
    Credential,
    IdentifierType,
    NotReady,
    Objection,
    Recognition,
    Recognizer,
    Repair,
    Report,
)
from menwei_camera.looking import LookSpec
from menwei_camera.service import Cameras, Looking
from menwei_face import choice, models, plans
from menwei_face.choice import ChoiceTrouble
from menwei_face.flaw import Flaw
from menwei_face.liveness import Failure, Side
from menwei_face.models import Model, Problem
from menwei_face.options import FaceOptions, Liveness
from menwei_face.orders import MAKE, Admit, Expect, Gone, Known, Message, Orders, Settings
from menwei_face.packages import missing_packages
from menwei_face.places import models_in
from menwei_face.plans import Plan
from menwei_face.service import Faces
from menwei_face.subject import FORMAT
from menwei_face.trouble import VaultTrouble

PAUSE = 0.25
"""Seconds between two refreshes of the galleries: an import of thousands is a few of them, and a withdrawal is told at
once beside them."""
REFRESH = 60.0
"""Seconds after which the galleries are refreshed although nothing was told."""
SLICE = 500
"""People whose rights are looked up in one go: some milliseconds of the loop, in which cards are answered too."""
PART = 2000
"""People in one message to the worker, some 5 MB."""
GUIDANCE = 1.0
"""Least seconds between two hints to a person: they cannot be read faster."""
HINT, REFUSAL = 3.0, 3.0
"""Seconds for which a hint, and a refusal, is shown."""


class FaceRecognizer(Recognizer):
    """Runs as long as the camera worker does; when it is lost, `NotReady`, and cards go on. Where files of the networks
    or packages are missing it says which (`repairs`), tries again later, and cards go on too."""

    name = "faces"
    Config = FaceOptions
    identifier = IdentifierType.FACE
    format = FORMAT

    def __init__(self, context: Context, config: FaceOptions, report: Report) -> None:
        super().__init__(context, config, report)
        self._plans: dict[str, Plan] = {}
        self._points: dict[str, str] = {}
        self._looking: Looking | None = None
        self._changed = asyncio.Event()
        self._anew: set[str] = set()
        self._known: frozenset[str] = frozenset()
        self._admitted: dict[str, Admit] = {}
        self._owners: dict[int, str] = {}
        self._expected: dict[str, frozenset[int]] = {}
        self._narrowed: dict[str, frozenset[str] | None] = {}
        self._hinted: dict[str, float] = {}
        self._problems: tuple[Problem, ...] = ()
        self._packages: tuple[str, ...] = ()
        self._crowded: dict[str, int] = {}

    @classmethod
    def objections(cls, config: FaceOptions, points: Sequence[AccessPoint], folder: Path) -> list[Objection]:
        model = choice.chosen(models_in(folder)).embedder
        return list(plans.make(config, points, model).objections)

    # ------------------------------------------------------------------------------------------------------- its life

    async def run(self) -> None:
        folder, faces = models_in(self.context.files.folder), self.context.service(Faces)
        try:
            chosen = replace(choice.chosen(folder), embedder=faces.model)
        except ChoiceTrouble as trouble:
            raise NotReady(str(trouble)) from trouble
        made = plans.make(self.config, self.context.site.access_points.values(), faces.model)
        self._plans = {plan.access_point: plan for plan in made.plans}
        self._points = {camera: plan.access_point for plan in made.plans for camera in plan.cameras}
        if not self._plans:
            self.report.ready()
            await asyncio.Event().wait()
        await self._require(folder, chosen.models)
        await self._look(folder, faces)

    async def _require(self, folder: Path, wanted: Iterable[Model]) -> None:
        """Raises `NotReady` where something is not installed, or a file is not byte by byte what it must be."""
        self._packages = missing_packages()
        if self._packages:
            raise NotReady(", ".join(self._packages))
        needed = list(wanted)
        if any(plan.liveness is Liveness.FASNET for plan in self._plans.values()):
            needed.append(models.FASNET)
        self._problems = tuple(await asyncio.to_thread(models.verify, folder, needed))
        if self._problems:
            raise NotReady(str(models.ModelsNotReady(self._problems)))

    async def _look(self, folder: Path, faces: Faces) -> None:
        try:
            await faces.ready()
        except VaultTrouble as trouble:
            raise NotReady(str(trouble)) from trouble
        settings = {
            camera: Settings(plan.threshold, plan.margin, plan.liveness, plan.alone is not None)
            for plan in self._plans.values()
            for camera in plan.cameras
        }
        spec = LookSpec("face", MAKE, tuple(self._points), Orders(folder, faces.model.name, settings))
        looking = self.context.service(Cameras).look(spec, self._happened)
        ends = [faces.on_change(self._enrolment), self.context.subjects.on_change(self._changed.set)]
        self._looking = looking
        tasks = [
            asyncio.ensure_future(self._keep_told(looking, faces)),
            asyncio.ensure_future(looking.serve(lambda: None)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except VaultTrouble as trouble:
            raise NotReady(str(trouble)) from trouble
        finally:
            self._looking = None
            for end in ends:
                end()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            looking.close()

    # --------------------------------------------------------------------------------------------- towards the cameras

    async def _keep_told(self, looking: Looking, faces: Faces) -> None:
        await looking.ready.wait()
        await self._refresh(faces)
        self.report.ready()
        while True:
            with suppress(
                TimeoutError
            ):  # in time also when nothing is told: a credential's end changes no right
                async with asyncio.timeout(REFRESH):
                    await self._changed.wait()
            self._changed.clear()
            await self._refresh(faces)
            await asyncio.sleep(PAUSE)

    async def _refresh(self, faces: Faces) -> None:
        """Tell the worker what has changed since the last time."""
        enrolled = sorted(faces.enrolled())
        anew, self._anew = self._anew, set()
        owners: dict[int, str] = {}
        admitted: dict[str, set[str]] = {point: set() for point in self._plans}
        for some in _slices(enrolled, SLICE):
            for subject in some:
                if (credential := self.context.subjects.credential(subject)) is not None:
                    owners[credential] = subject
            for point, there in admitted.items():
                there |= self.context.subjects.admitted(point, some)
                await asyncio.sleep(0)
        wanted = frozenset[str]().union(*admitted.values())
        self._owners = owners
        if gone := self._known - wanted:
            self._tell(Gone(gone))
        self._known &= wanted
        for some in _slices(sorted(wanted - (self._known - anew)), PART):
            templates = (await faces.templates(some)).only(faces.enrolled())  # as they are now
            self._tell(Known(templates))
            self._known |= frozenset(templates.subjects)
        for point, there in admitted.items():
            self._admit(point, frozenset(there))
        for point in list(self._expected):
            self._narrow(point)

    def _admit(self, point: str, subjects: frozenset[str]) -> None:
        plan = self._plans[point]
        crowded = plan.alone is not None and len(subjects) > plan.alone
        if crowded:
            self._crowded[point] = len(subjects)
        else:
            self._crowded.pop(point, None)
        admit = Admit(subjects, everybody=plan.alone is not None and not crowded)
        if self._admitted.get(point) != admit:
            self._admitted[point] = admit
            self._tell(admit, point)

    def _enrolment(self, subject: str) -> None:
        """`Faces.on_change`: a withdrawal reaches the worker before it reaches the disk."""
        if subject not in self.context.service(Faces).enrolled():
            self._known -= {subject}
            self._tell(Gone(frozenset({subject})))
        self._anew.add(subject)
        self._changed.set()

    def expect(self, access_point: str, credentials: tuple[Credential, ...]) -> None:
        if access_point not in self._plans:
            return
        if credentials:
            self._expected[access_point] = frozenset(one.id for one in credentials)
        else:
            self._expected.pop(access_point, None)
        self._hinted.pop(access_point, None)
        self._narrow(access_point, always=True)

    def _narrow(self, point: str, *, always: bool = False) -> None:
        """Tell the cameras of a door who is awaited there, in the subjects they know."""
        credentials = self._expected.get(point)
        subjects = None
        if credentials is not None:
            subjects = frozenset(self._owners[one] for one in credentials if one in self._owners)
        if always or self._narrowed.get(point) != subjects:
            self._narrowed[point] = subjects
            self._tell(Expect(subjects), point)

    def _tell(self, message: Message, point: str | None = None) -> None:
        """To every camera of an access point; without one to any camera, for what they share."""
        if self._looking is None:
            return
        cameras = self._plans[point].cameras if point is not None else tuple(self._points)[:1]
        for camera in cameras:
            self._looking.tell(camera, message)

    # ------------------------------------------------------------------------------------------------ from the cameras

    def _happened(self, camera: str, event: Mapping[str, Any]) -> None:
        point = self._points[camera]
        match event["kind"]:
            case "recognized":
                found = (
                    str(event["subject"]),
                    float(event["score"]),
                    float(event["at"]),
                    str(event["liveness"]),
                )
                self._recognized(point, *found)
            case "unknown" if point in self._expected:
                self.report.prompt(point, "face.door.not_recognised", REFUSAL, refused=True)
            case "unknown":
                self.report(Recognition(point, None, 0.0, float(event["at"])))
            case "prompt":
                self.report.prompt(point, f"face.turn.{Side(event['side'])}", float(event["seconds"]))
            case "not_live":
                self._not_live(point, Failure(event["failure"]), again=event["again"] is True)
            case "guidance":
                self._guide(point, [Flaw(flaw) for flaw in event["flaws"]])

    def _recognized(self, point: str, subject: str, score: float, at: float, liveness: str) -> None:
        """Whoever was withdrawn or lost the right meanwhile is not passed on; the line would refuse them anyway."""
        if subject in self._known and subject in self._admitted[point].subjects:
            self.report(Recognition(point, subject, score, at, liveness))

    def _not_live(self, point: str, failure: Failure, *, again: bool) -> None:
        """The last try is told and recorded, without a word on whose face it was: it may have been a picture."""
        if again:  # the next prompt says what to do
            return
        plan = self._plans[point]
        data = {"failure": failure, "method": plan.liveness}
        self.context.facts.publish("NotLive", door=plan.door, access_point=point, data=data)
        self.report.prompt(point, f"face.liveness.{failure}", REFUSAL, refused=True)

    def _guide(self, point: str, flaws: Sequence[Flaw]) -> None:
        """A hint for whoever is awaited. Who passes by a door that knows people by their face is not spoken to."""
        now = self.context.clock.monotonic()
        if point not in self._expected or not flaws or now - self._hinted.get(point, 0.0) < GUIDANCE:
            return
        self._hinted[point] = now
        self.report.prompt(point, f"face.flaw.{flaws[0]}", HINT)

    # ---------------------------------------------------------------------------------------------------- for a person

    def repairs(self) -> list[Repair]:
        found = [
            Repair(f"face-model:{one.file or one.model}", f"face.model.{one.trouble}", _values(one), "error")
            for one in self._problems
        ]
        if self._packages:
            values = {"packages": ", ".join(self._packages)}
            found.append(Repair("face-packages", "face.cli.packages", values, "error"))
        for point, count in self._crowded.items():
            plan = self._plans[point]
            values = {"door": plan.door, "count": str(count), "people": str(plan.alone)}
            found.append(Repair(f"face-crowded:{plan.door}", "face.repair.crowded", values, "error"))
        if self.config.demonstration:
            found.append(Repair("face-demonstration", "face.repair.demonstration", {}))
        return found


def _values(problem: Problem) -> dict[str, str]:
    return {"model": problem.model, "file": problem.file}


def _slices(subjects: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for begin in range(0, len(subjects), size):
        yield subjects[begin : begin + size]
