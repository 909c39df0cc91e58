"""What the rules remember between passages, in memory only, and no longer than a rule needs it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from menwei import Config, Context, Passage, Service

PENDING = 10.0
"""Seconds for which an entry that was granted counts against another door: the door's contact tells only later that
the person went through, and a card can be passed back faster than that."""
FIRST_CARD = "menwei_rules.FirstCard"
A_DAY = 86_400.0
ALL = 10_000
"""First cards of a day: one a group and day, so this is never reached."""
ABOUT_NOW = 60.0
"""Seconds. A question about a moment so near is one about now: somebody had to type it."""


def as_remembered(passage: Passage, now: float) -> Passage | None:
    """The passage that memory is asked about: the same one, and for `menwei explain` the one that would be now. None for
    an explanation of another moment, of which memory knows nothing; else whoever asked for one moment after another
    would find out when the person came in."""
    if not passage.dry_run:
        return passage
    return replace(passage, at=now) if abs(passage.at - now) <= ABOUT_NOW else None


@dataclass(slots=True)
class Areas:
    """Who is in which area since when, and who is on the way in."""

    inside: dict[tuple[str, int], float] = field(default_factory=dict)
    """(area, holder) → when they went in"""
    entering: dict[tuple[str, int], tuple[str, float]] = field(default_factory=dict)
    """(area, holder) → (access point, when it was granted)"""

    def went(self, holder: int, left: str, entered: str, at: float) -> None:
        """Somebody went through, from one area into another ("": no area)."""
        if left:
            self.inside.pop((left, holder), None)
        if entered:
            self.inside[entered, holder] = at
            self.entering.pop((entered, holder), None)

    def in_since(self, holder: int, area: str, at: float, forget: float) -> float | None:
        """Since when they are in the area; None when they are not, or it is longer ago than `forget` seconds."""
        since = self.inside.get((area, holder))
        return since if since is not None and at - since < forget else None

    def comes_in_elsewhere(self, holder: int, area: str, access_point: str, at: float) -> bool:
        """Whether another door of the area was just opened for them."""
        there = self.entering.get((area, holder))
        return there is not None and there[0] != access_point and 0 <= at - there[1] < PENDING

    def comes_in(self, holder: int, area: str, access_point: str, at: float) -> None:
        self.entering[area, holder] = (access_point, at)

    def forgive(self, holder: int) -> None:
        """Nobody knows where they are: their next passage is their first."""
        for book in (self.inside, self.entering):
            for key in [key for key in book if key[1] == holder]:
                del book[key]

    def prune(self, at: float, forget: float) -> None:
        """Forget who went in longer ago than any rule asks."""
        for key in [key for key, since in self.inside.items() if at - since >= forget]:
            del self.inside[key]
        for key in [key for key, (_, since) in self.entering.items() if at - since >= PENDING]:
            del self.entering[key]


class Options(Config):
    """No options of its own: each rule's stand with its policy."""


class RuleBook(Service):
    """The memory of the rules. After a restart nobody is known to be anywhere, save that a first card of today still
    counts: that stands in the journal, without a name."""

    name = "book"

    Config = Options

    def __init__(self, context: Context, config: Options) -> None:
        super().__init__(context, config)
        self.areas = Areas()
        self.opened_until: dict[str, float] = {}
        """group → until when its first card counts"""
        self.loaded = asyncio.Event()

    async def run(self) -> None:
        now = self.context.clock.now()
        for fact in await self.context.facts.read({FIRST_CARD}, since=now - 2 * A_DAY, limit=ALL):
            self.open(str(fact.data["group"]), float(fact.data["until"]))
        self.loaded.set()

    def open(self, group: str, until: float) -> None:
        self.opened_until[group] = max(until, self.opened_until.get(group, 0.0))

    def is_open(self, group: str, at: float) -> bool:
        return at < self.opened_until.get(group, 0.0)
