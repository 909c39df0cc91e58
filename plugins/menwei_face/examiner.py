"""The core's side of the process that looks at photos: started when somebody enrols, ended a while after.

What comes back is believed no more than any other peer: JSON, of bounded length, every part checked.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from menwei_face.aside import Aside, AsideTrouble, Nonsense
from menwei_face.flaw import Flaw
from menwei_face.models import DLIB
from menwei_face.photos import Looked, Reject, Why, known
from menwei_face.quality import Quality
from menwei_face.template import numbers

LONGEST = 4096
"""Numbers of a template: networks give 128 to 512."""
IDLE = 120.0
"""Seconds without a photo after which the process and its memory are given back."""


class ExaminerTrouble(Exception):
    """Photos cannot be looked at now; the text says why and holds nothing personal."""


class Examiner:
    """Looks at photos in a process of its own, one after the other. Made with the folder of the networks and the name of
    the one that the vault keeps templates of: another may be chosen for the next start meanwhile."""

    def __init__(self, models: Path, command: Sequence[str] = (), *, embedder: str = DLIB.name) -> None:
        program = tuple(command) or (sys.executable, "-m", "menwei_face.examining")
        self._aside = Aside((*program, str(models), embedder))
        self._turn = asyncio.Lock()
        self._ending: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        return self._aside.pid

    async def look(self, name: str, photo: bytes) -> Looked:
        """What is to be said about one photo. Raises `ExaminerTrouble`: the networks are missing, or the process ended
        over this photo; the next one gets a new process."""
        async with self._turn:
            if self._ending is not None:
                self._ending.cancel()
            work = asyncio.ensure_future(asyncio.to_thread(self._look, name, photo))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                self._end_beside()  # the thread waits for an answer that nobody wants any more
                await asyncio.gather(work, return_exceptions=True)
                raise
            finally:
                self._ending = asyncio.get_running_loop().call_later(IDLE, self._end_beside)

    async def close(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        await asyncio.to_thread(self._aside.end)
        async with self._turn:
            if self._ending is not None:
                self._ending.cancel()
            await asyncio.to_thread(self._aside.end)

    def _end_beside(self) -> None:
        """In the event loop, which does not wait until a process of several hundred megabytes is gone."""
        asyncio.get_running_loop().run_in_executor(None, self._aside.end)

    def _look(self, name: str, photo: bytes) -> Looked:
        try:
            return understood(name, self._aside.ask(photo))
        except AsideTrouble as trouble:
            raise ExaminerTrouble(str(trouble)) from trouble
        except Nonsense as error:
            self._aside.end()
            raise ExaminerTrouble(f"{type(error).__name__}: {error}") from error


def understood(name: str, facts: dict[str, Any]) -> Looked:
    """The answer about one photo, every part of which may be wrong. Raises `Nonsense`."""
    given = facts.get("why")
    if not isinstance(given, list):
        raise Nonsense("no list of reasons")
    why = tuple(_reason(word) for word in given)
    if "vector" not in facts:
        if not why:
            raise Nonsense("neither a face nor a reason")
        return Looked(name, why)
    try:
        template = base64.b64decode(facts["vector"], validate=True)
        dimensions = len(numbers(template))
        measures = [float(number) for number in facts["quality"]]
    except (binascii.Error, TypeError, ValueError, KeyError, OverflowError) as error:
        raise Nonsense(f"no face: {type(error).__name__}") from error
    if len(measures) != 7 or dimensions > LONGEST:
        raise Nonsense("no face")
    if not all(math.isfinite(number) for number in measures):
        why = why or (Flaw.TURNED,)  # points in one spot: no pose that anybody could hold
        return Looked(name, why)
    return Looked(name, why, template, Quality(*measures))


def _reason(word: object) -> Why:
    reason = known(word) if isinstance(word, str) else None
    if reason is None or (isinstance(reason, Reject) and reason is not Reject.UNREADABLE):
        raise Nonsense("an unknown reason")
    return reason
