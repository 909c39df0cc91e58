"""What an access point remembers between two touches: a first factor, wrong PINs, a card that stays on the reader."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from menwei.decide import NOBODY, Presented
from menwei.model import Check, IdentifierType, Reason, Request

PIN_TRIES = 3
PIN_SUSPENSION = 300.0
"""Seconds (PT5M) for which a credential's PIN is not accepted after `PIN_TRIES` wrong ones."""
CODE_TRIES = 5
CODE_WINDOW = 300.0
CODE_SUSPENSION = 300.0
"""`CODE_TRIES` unknown codes typed at one access point within `CODE_WINDOW` seconds: none is accepted there for
`CODE_SUSPENSION`. That leaves 1,440 guesses a day, of which one in 100 million hits a given code of eight digits."""
REPEAT_TIME = 2.0
"""Seconds. A card that lies on a reader is read again and again; each read prolongs the same touch."""


@dataclass(slots=True)
class _Waiting:
    presented: Presented
    timer: asyncio.TimerHandle


class Pendings:
    """At most one `Pending` per access point."""

    def __init__(self) -> None:
        self._waiting: dict[str, _Waiting] = {}

    def put(
        self, access_point: str, presented: Presented, seconds: float, expired: Callable[[], None]
    ) -> None:
        """Keep `presented` for `seconds`; `expired` is called when nothing came."""

        def timeout() -> None:
            del self._waiting[access_point]
            expired()

        self.drop(access_point)
        timer = asyncio.get_running_loop().call_later(seconds, timeout)
        self._waiting[access_point] = _Waiting(replace(presented, checks=()), timer)

    def take(self, access_point: str, request: Request) -> Presented:
        """What was shown before and belongs to this request; another card replaces it."""
        waiting = self._waiting.pop(access_point, None)
        if waiting is None:
            return NOBODY
        waiting.timer.cancel()
        same_kind = {identifier.type for identifier in request.identifiers} & waiting.presented.factors
        return NOBODY if same_kind else waiting.presented

    def drop(self, access_point: str) -> None:
        if waiting := self._waiting.pop(access_point, None):
            waiting.timer.cancel()

    def close(self) -> None:
        for access_point in list(self._waiting):
            self.drop(access_point)


class PinTries:
    """Counts wrong PINs by credential. Kept in memory: a restart forgets them, and takes longer than it gains."""

    def __init__(self, tries: int = PIN_TRIES, suspension: float = PIN_SUSPENSION) -> None:
        self._tries = tries
        self._suspension = suspension
        self._wrong: dict[int, int] = {}
        self._until: dict[int, float] = {}

    def count(self, presented: Presented, at: float) -> Presented:
        """Called with every resolved presentation. While suspended, the right PIN is refused like a wrong one."""
        credential = presented.credential
        if credential is None:
            return presented
        wrong = presented.checks and any(check.reason is Reason.INVALID_PIN for check in presented.checks)
        if not wrong and IdentifierType.PIN not in presented.factors:
            return presented
        if at < self._until.get(credential.id, 0.0):
            check = Check(Reason.INVALID_PIN, "door.pin_suspended", detail="suspended after wrong PINs")
            kept = tuple(check for check in presented.checks if check.reason is not Reason.INVALID_PIN)
            return replace(
                presented,
                factors=presented.factors - {IdentifierType.PIN},
                checks=(check, *kept),
                duress=False,
            )
        if not wrong:
            self._wrong.pop(credential.id, None)
            self._until.pop(credential.id, None)
            return presented
        self._wrong[credential.id] = self._wrong.get(credential.id, 0) + 1
        if self._wrong[credential.id] >= self._tries:
            del self._wrong[credential.id]
            self._until[credential.id] = at + self._suspension
        return presented


class CodeTries:
    """Counts unknown codes typed without a card, by access point. A known code in between forgives nothing: whoever has
    one could go on guessing for ever. Kept in memory, as wrong PINs are."""

    def __init__(
        self, tries: int = CODE_TRIES, window: float = CODE_WINDOW, suspension: float = CODE_SUSPENSION
    ) -> None:
        self._window = window
        self._suspension = suspension
        self._tries = tries
        self._unknown: dict[str, deque[float]] = {}
        self._until: dict[str, float] = {}

    def count(self, request: Request, before: Presented, presented: Presented) -> tuple[Presented, bool]:
        """Called with every resolved presentation; returns what counts of it, and whether this was the unknown code
        that suspends. While suspended a known code is refused like an unknown one, so that neither can be told."""
        typed = next(iter(request.identifiers), None)
        if before.credential is not None or typed is None or typed.type is not IdentifierType.PIN:
            return presented, False
        point, at = request.access_point, request.at
        if at < self._until.get(point, 0.0):
            check = Check(Reason.INVALID_PIN, "door.codes_suspended", detail="suspended after unknown codes")
            return Presented(checks=(check,)), False
        if presented.credential is not None:
            return presented, False
        unknown = self._unknown.setdefault(point, deque(maxlen=self._tries))
        unknown.append(at)
        if len(unknown) < self._tries or at - unknown[0] > self._window:
            return presented, False
        unknown.clear()
        self._until[point] = at + self._suspension
        return presented, True


class Repeats:
    """Tells a card held on a reader from a second touch."""

    def __init__(self, repeat_time: float = REPEAT_TIME) -> None:
        self._repeat_time = repeat_time
        self._last: dict[str, tuple[int, float]] = {}
        """Python's own hash of what was shown, keyed anew in each process: it need not outlive this one."""

    def is_repeat(self, request: Request) -> bool:
        """Is this the same card as a moment ago at the same access point? Typed numbers are never repeats."""
        if len(request.identifiers) != 1 or request.identifiers[0].type is IdentifierType.PIN:
            return False
        shown = request.identifiers[0]
        mark = hash((shown.type, shown.format, shown.value))
        before, when = self._last.get(request.access_point, (None, 0.0))
        self._last[request.access_point] = (mark, request.received)
        return before == mark and 0 <= request.received - when < self._repeat_time
