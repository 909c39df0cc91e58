"""The part that looks at frames, in the camera worker: one pipeline a camera, one store of templates for all.

The networks are loaded once, after every byte of their files was checked. What is told to the core is a subject, a
score and how liveness was checked; of a stranger only that there was one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from menwei_face import choice
from menwei_face.detect import Detector, HogDetector, YuNetDetector
from menwei_face.embed import Embedder, open_embedder
from menwei_face.events import Event, Guidance, Left, NotLive, Prompt, Recognized, Unknown
from menwei_face.geometry import Image
from menwei_face.liveness import Fasnet
from menwei_face.match import Gallery
from menwei_face.models import CATALOGUE, FASNET, YUNET, require, weights
from menwei_face.options import Liveness
from menwei_face.orders import Admit, Expect, Gone, Known, Message, Orders, Settings
from menwei_face.pipeline import Passive, Pipeline
from menwei_face.pipeline import Settings as PipelineSettings
from menwei_face.template import Templates

if TYPE_CHECKING:
    from menwei_camera.looking import Event as Told
    from menwei_camera.looking import Looker


class Shelf:
    """The templates of everybody whom a camera may be told of. `changes` counts, so that each camera notices."""

    def __init__(self, unit: bool = False) -> None:
        self.gallery = Gallery({}, unit=unit)
        self.changes = 0

    def put(self, templates: Templates) -> None:
        self.gallery = self.gallery.joined(Gallery.of(templates, unit=self.gallery.unit))
        self.changes += 1

    def drop(self, subjects: frozenset[str]) -> None:
        self.gallery = self.gallery.only(frozenset(self.gallery.subjects) - subjects)
        self.changes += 1


class FaceLooker:
    """One camera. It looks at nothing before it was told who belongs to its door."""

    def __init__(self, settings: Settings, shelf: Shelf, pipeline: Pipeline) -> None:
        self._always = settings.always
        self._shelf = shelf
        self._pipeline = pipeline
        self._admitted: frozenset[str] | None = None
        self._expected: frozenset[str] | None = None
        self._everybody = False
        self._taken = -1

    def frame(self, image: Image, at: float) -> Iterator[Told]:
        if not self._looking:
            return
        self._take()
        for event in self._pipeline.frame(image, at):
            if (said := told(event, at)) is not None:
                yield said

    def told(self, message: Message) -> Iterator[Told]:
        match message:
            case Known(templates):
                self._shelf.put(templates)
            case Gone(subjects):
                self._shelf.drop(subjects)
            case Admit(subjects, everybody):
                self._admitted, self._everybody, self._taken = subjects, everybody, -1
            case Expect(subjects):
                self._expected = subjects
                self._pipeline.expect(subjects)
        return iter(())

    @property
    def _looking(self) -> bool:
        if self._admitted is None:
            return False
        return self._expected is not None or (self._always and self._everybody)

    def _take(self) -> None:
        """The gallery of this door, when templates or rights are others than they were."""
        if self._taken != self._shelf.changes and self._admitted is not None:
            self._pipeline.gallery = self._shelf.gallery.only(self._admitted)
            self._taken = self._shelf.changes


def told(event: Event, at: float) -> Told | None:
    """An event of the pipeline as the core hears it."""
    match event:
        case Recognized():
            return {
                "kind": "recognized",
                "subject": event.subject,
                "score": event.score,
                "liveness": event.liveness,
                "at": event.captured,
            }
        case Unknown():
            return {"kind": "unknown", "at": event.captured}
        case Prompt():
            return {"kind": "prompt", "side": event.side, "seconds": event.until - at}
        case NotLive():
            return {"kind": "not_live", "failure": event.failure, "again": event.again}
        case Guidance():
            return {"kind": "guidance", "flaws": list(event.flaws)}
        case Left():
            return None


def make(options: Orders) -> Callable[[str], Looker]:
    """For `LookSpec.make`. Raises `ModelsNotReady`, `ChoiceTrouble`, `ImportError`: then no face is looked at."""
    chosen = choice.chosen(options.models)
    embedder = open_embedder(options.models, CATALOGUE[options.embedder])
    detector: Detector = HogDetector()
    if chosen.detector is YUNET:
        require(options.models, [YUNET])
        detector = YuNetDetector(weights(options.models) / YUNET.files[0].name)
    passive: Passive | None = None
    if any(one.liveness is Liveness.FASNET for one in options.cameras.values()):
        require(options.models, [FASNET])
        passive = Fasnet()
    return lookers(options, detector, embedder, passive)


def lookers(
    options: Orders, detector: Detector, embedder: Embedder, passive: Passive | None = None
) -> Callable[[str], Looker]:
    """The lookers of all cameras, around networks that are loaded."""
    shelf = Shelf(embedder.model.unit)

    def of(camera: str) -> FaceLooker:
        settings = options.cameras[camera]
        pipeline = Pipeline(
            detector,
            embedder,
            PipelineSettings(
                threshold=settings.threshold,
                margin=settings.margin,
                head_turn=settings.liveness is Liveness.HEAD_TURN,
            ),
            gallery=Gallery({}, unit=embedder.model.unit),
            passive=passive if settings.liveness is Liveness.FASNET else None,
        )
        return FaceLooker(settings, shelf, pipeline)

    return of
