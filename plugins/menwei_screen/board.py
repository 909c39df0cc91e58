"""What one screen shows now, without a clock or a wire of its own: times are given, on the monotonic clock.

Nothing here outlives its seconds, and nothing is kept: a result that is over is gone from memory too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from menwei import Feedback, FeedbackKind
from menwei_screen.lines import Line

READING = {FeedbackKind.GRANTED: 3.0, FeedbackKind.DENIED: 6.0}
"""Seconds a result stays at least: a refusal also says what to do next, and is read aloud in about five."""
LONGEST = 60.0
"""Seconds a result stays at most."""
OFFER = 3.0
"""Seconds a line waits for the grant it belongs to: policies have 0.2, the record 0.5, the door's answer 2."""
MOST_LINES = 3
"""Lines for one person, and notices of one door: more is not read in passing."""
TYPED, TYPED_WITHIN = 20, 60.0
"""Numbers taken from one screen in so many seconds. What they open is limited where they are judged, as at any keypad;
this keeps a tablet gone mad from filling the queue of a door."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One result, until the moment `until`. `key` is the message key of its sentence, `text` the sentence in the site's
    language, for a key that nobody has."""

    kind: FeedbackKind
    key: str
    text: str
    until: float
    lines: tuple[Line, ...] = ()
    number: int = 0
    """Counts the results, so that a tablet says each aloud once."""
    below: Shown | None = None
    """What is still awaited when this prompt is over: "turn your head" for two seconds, "look at the camera" for ten."""

    @property
    def wants_digits(self) -> bool:
        """Whether a typed number is awaited: `door.pending.` names what is missing (`Verdict.says`)."""
        mine = self.key.startswith("door.pending.") and "pin" in self.key.rpartition(".")[2].split("-")
        return mine or (self.below is not None and self.below.wants_digits)


class Board:
    """The state of one screen. `revision` grows with every change of what is to be seen."""

    def __init__(self) -> None:
        self.revision = 0
        self._shown: Shown | None = None
        self._offered: tuple[Line, ...] = ()
        self._offered_until = 0.0
        self._notices: dict[str, Line] = {}
        self._results = 0
        self._typed: deque[float] = deque(maxlen=TYPED)

    def feedback(self, feedback: Feedback, now: float) -> None:
        """The door answered somebody. Takes the place of what was shown before; a grant brings the lines that were
        offered for it, anything else drops them."""
        granted = feedback.kind is FeedbackKind.GRANTED
        lines = self._offered if granted and now < self._offered_until else ()
        self._offered = ()
        seconds = max([feedback.seconds, READING.get(feedback.kind, 0.0), *(line.seconds for line in lines)])
        until = now + min(seconds, LONGEST)
        below = self._awaited(feedback.kind, until, now)
        self._results += 1
        self._shown = Shown(feedback.kind, feedback.key, feedback.text, until, lines, self._results, below)
        self.revision += 1

    def _awaited(self, kind: FeedbackKind, until: float, now: float) -> Shown | None:
        """What the new result covers only for a while: the prompt that waits for longest."""
        before = self.shown(now)
        if before is None or {kind, before.kind} != {FeedbackKind.WAITING}:
            return None
        longest = before.below or before
        return longest if longest.until > until else None

    def offer(self, line: Line, now: float) -> None:
        """A line for whoever is being decided about here now; shown only with a grant that follows at once."""
        before = self._offered if now < self._offered_until else ()
        self._offered = (*before, line)[-MOST_LINES:]
        self._offered_until = now + OFFER

    def hangs_by(self, notices: Mapping[str, Line]) -> None:
        """The notices of the door where this screen hangs now, by the names their givers chose, the newest last."""
        if notices != self._notices:
            self._notices = dict(notices)
            self.revision += 1

    def shown(self, now: float) -> Shown | None:
        """The result, while it lasts."""
        while self._shown is not None and now >= self._shown.until:
            self._shown = self._shown.below
            self.revision += 1
        return self._shown

    @property
    def notices(self) -> tuple[Line, ...]:
        """The door's notices, the newest last."""
        return tuple(self._notices.values())[-MOST_LINES:]

    def may_type(self, now: float) -> bool:
        """Counts one typed number; False when it is one too many."""
        if len(self._typed) == TYPED and now - self._typed[0] < TYPED_WITHIN:
            return False
        self._typed.append(now)
        return True
