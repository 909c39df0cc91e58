"""Enrolments before a camera, as the core sees them: one a camera, ended when the desk looks away.

What a guide in the worker takes is collected here, in memory, and gone with the session, whatever came of it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from menwei import RightsError
from menwei_camera.looking import LookSpec
from menwei_camera.service import Cameras, Looking
from menwei_face.aside import Nonsense
from menwei_face.examiner import understood
from menwei_face.flaw import Hint
from menwei_face.orders import MAKE_GUIDE, GuideOptions
from menwei_face.photos import Looked, Reject, choose, known, message
from menwei_face.places import models_in
from menwei_face.words import LEAST, FaceError, Recorder, Source

if TYPE_CHECKING:
    from menwei_face.enrolment import Enrolment

WANTED = 5
"""Pictures after which it is done."""
STARTING = 120.0
LONGEST = 90.0
"""Seconds for loading the networks, and for standing before the camera."""
ENOUGH_AFTER = 30.0
"""Seconds after which three pictures do."""
UNWATCHED = 10.0
"""Seconds without anybody asking how it stands after which a session ends: the desk closed the page."""
PULSE = 0.5
"""Seconds between two looks at these, when nothing happens."""
KEPT = 60.0
"""Seconds for which the end of a session can still be asked for."""


class State(StrEnum):
    STARTING = "starting"
    LOOKING = "looking"
    DONE = "done"
    FAILED = "failed"
    ENDED = "ended"

    @property
    def over(self) -> bool:
        return self in {State.DONE, State.FAILED, State.ENDED}


@dataclass(slots=True)
class Session:
    """One enrolment before one camera. `says` with `values` is the message for the person or the desk; `still` asks
    whether who began it is signed in yet."""

    id: str
    holder: int
    camera: str
    by: Recorder
    still: Callable[[], Awaitable[bool]]
    state: State = State.STARTING
    guidance: tuple[str, ...] = ()
    says: str = "face.camera.starting"
    values: Mapping[str, str] = field(default_factory=dict)
    pictures: list[Looked] = field(default_factory=list)
    have: int = 0
    watched: float = 0.0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def end(self, state: State, says: str, **values: str) -> None:
        """It is over: what was taken is let go."""
        self.state, self.says, self.values, self.guidance = state, says, values, ()
        self.pictures.clear()


class Sessions:
    """All of them. `begin` and `watch` are what the API calls."""

    def __init__(self, enrolment: Enrolment) -> None:
        self._enrolment = enrolment
        self._context = enrolment.context
        self._sessions: dict[str, Session] = {}

    async def begin(
        self, by: Recorder, holder: int, camera: str, still: Callable[[], Awaitable[bool]]
    ) -> Session:
        """Look for this person at this camera, from now on, while `by` is `still` signed in. Raises `FaceError`: no
        consent, no other way in, or the camera is taken."""
        await self._enrolment.may_enrol(holder)
        try:
            cameras = self._context.service(Cameras)
        except LookupError:
            raise FaceError("face.camera.no_service", HTTPStatus.SERVICE_UNAVAILABLE) from None
        if any(one.camera == camera and not one.state.over for one in self._sessions.values()):
            raise FaceError("face.camera.busy", where="body.camera")
        session = Session(secrets.token_hex(16), holder, camera, by, still, watched=self._now())
        spec = LookSpec(f"face-enrolment/{camera}", MAKE_GUIDE, (camera,), self._options())
        try:
            looking = cameras.look(spec, lambda _camera, event: self.happened(session, event))
        except ValueError:
            raise FaceError("face.camera.busy", where="body.camera") from None
        self._sessions[session.id] = session
        session.task = asyncio.get_running_loop().create_task(self._run(session, looking))
        return session

    def watch(self, id: str) -> Session:
        """How it stands, and that somebody still wants to know. Raises `FaceError` 404."""
        session = self._sessions.get(id)
        if session is None:
            raise FaceError("face.camera.no_session", HTTPStatus.NOT_FOUND, "path.session")
        session.watched = self._now()
        return session

    async def end(self, id: str) -> Session:
        """Stop it; nothing is enrolled. Raises `FaceError` 404."""
        session = self.watch(id)
        await self._stop(session)
        return session

    async def close(self) -> None:
        for session in list(self._sessions.values()):
            await self._stop(session)

    def _options(self) -> GuideOptions:
        model = self._enrolment.faces.model
        threshold = self._enrolment.config.threshold or model.threshold
        return GuideOptions(models_in(self._context.files.folder), model.name, threshold, model.unit)

    def _now(self) -> float:
        return self._context.clock.monotonic()

    # ------------------------------------------------------------------------------------------------ from the worker

    def happened(self, session: Session, event: Mapping[str, Any]) -> None:
        """What the guide says; anything else is none of it and is dropped."""
        if session.state is not State.LOOKING:
            return
        if "vector" in event:
            try:
                session.pictures.append(understood(str(session.have + 1), {**event, "why": []}))
            except Nonsense:
                return
            session.have += 1
            session.news.set()
            return
        words = event.get("guidance")
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            return
        session.guidance = tuple(words[:8])
        first = words[0]
        if first in set(Hint):
            session.says = f"face.camera.{first}"
        elif first == Reject.SOMEBODY_ELSE:
            session.says = f"face.reject.{first}"
        elif known(first) is not None:
            session.says = f"face.flaw.{first}"

    # -------------------------------------------------------------------------------------------------------- its life

    async def _run(self, session: Session, looking: Looking) -> None:
        try:
            if await self._started(session, looking) and await self._collected(session, looking):
                looking.close()
                if not await self._left(session):
                    await self._enrol(session)
        finally:
            looking.close()
            if not session.state.over:
                session.end(State.ENDED, "face.camera.ended")
            asyncio.get_running_loop().call_later(KEPT, self._sessions.pop, session.id, None)

    async def _started(self, session: Session, looking: Looking) -> bool:
        """Whether the guide looks; the camera is free again at once when the desk has gone meanwhile."""
        began = self._now()
        waits = [asyncio.ensure_future(event.wait()) for event in (looking.ready, looking.lost)]
        try:
            while not any(wait.done() for wait in waits) and self._now() - began < STARTING:
                if await self._left(session):
                    return False
                await asyncio.wait(waits, timeout=PULSE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if looking.lost.is_set() or not looking.ready.is_set():
            session.end(State.FAILED, "face.camera.lost", detail=looking.trouble or "–")
            return False
        session.state, session.says = State.LOOKING, "face.flaw.no_face"
        return True

    async def _collected(self, session: Session, looking: Looking) -> bool:
        """Whether there are pictures enough, however long that took."""
        began = self._now()
        while session.have < WANTED:
            now = self._now()
            if looking.lost.is_set():
                session.end(State.FAILED, "face.camera.lost", detail=looking.trouble or "–")
                return False
            if await self._left(session):
                return False
            if session.have >= LEAST and now - began > ENOUGH_AFTER:
                return True
            if now - began > LONGEST:
                session.end(State.FAILED, "face.camera.timeout")
                return False
            with suppress(TimeoutError):
                async with asyncio.timeout(PULSE):
                    await session.news.wait()
            session.news.clear()
        return True

    async def _left(self, session: Session) -> bool:
        """Ends it when nobody has asked for a while how it stands, or who began it may not enrol anybody any more."""
        if self._now() - session.watched <= UNWATCHED and await session.still():
            return False
        session.end(State.ENDED, "face.camera.ended")
        return True

    async def _enrol(self, session: Session) -> None:
        model = self._enrolment.faces.model
        threshold = self._enrolment.config.threshold or model.threshold
        choice = choose(session.pictures, threshold, unit=model.unit)
        if choice.why is not None:
            session.end(State.FAILED, message(choice.why))
            return
        try:
            made = await self._enrolment.enrol(session.by, session.holder, choice.templates, Source.CAMERA)
        except (FaceError, RightsError) as error:
            session.end(State.FAILED, error.says, **error.values)
            return
        except Exception as error:
            self._context.log.error("an enrolment before a camera failed", exc_info=error)
            session.end(State.FAILED, "face.camera.lost", detail=type(error).__name__)
            return
        session.end(State.DONE, "face.camera.done")
        data = {"templates": made.templates, "source": str(Source.CAMERA), "camera": session.camera}
        await self._context.facts.audit(session.by.actor, "enrol", data, {"holder": session.holder})

    async def _stop(self, session: Session) -> None:
        if session.task is not None and not session.task.done():
            session.task.cancel()
            await asyncio.gather(session.task, return_exceptions=True)
