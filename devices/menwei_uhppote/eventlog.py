"""Which of the board's events were read: each once, across power cuts on either side.

The board numbers its events. We keep the highest index that was handled (`top`), the ranges below it that still have to
be read (`gaps`: what happened while we were away, read in the background so that a person at the door does not wait for
a week's history), and a mark of the entry at `top`, by which a log that began anew is known: then the epoch is counted
up. It is kept after an entry was reported; a program killed between the two reports that one entry again, as old.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import orjson

from menwei import Memory
from menwei_uhppote.board import Board
from menwei_uhppote.events import NOTHING, OVERWRITTEN, LogEntry

PLACE: Final = "place"
MOST_GAPS: Final = 16
"""More cannot come of ordinary losses; the oldest are given up, so that the file stays small."""

Gap = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """What was read of a log; `gaps` are ranges of indexes, both ends included."""

    epoch: int
    top: int
    mark: str = ""
    gaps: tuple[Gap, ...] = ()

    def text(self) -> str:
        return orjson.dumps([self.epoch, self.top, self.mark, self.gaps]).decode()

    @classmethod
    def of(cls, text: str | None) -> Place | None:
        """None for nothing, and for what is no place: then the board is as on its first day."""
        try:
            epoch, top, mark, gaps = orjson.loads(text or "")
            return cls(
                int(epoch), int(top), str(mark), tuple((int(first), int(last)) for first, last in gaps)
            )
        except (ValueError, TypeError, OverflowError):
            return None

    def resumed(self, first: int, last: int) -> Place:
        """The board's log now reaches from `first` to `last`: what is new there is still to be read."""
        gaps = (*self.gaps, (self.top + 1, last)) if last > self.top else self.gaps
        there = tuple((max(a, first), b) for a, b in gaps if b >= first)
        return replace(self, top=max(last, self.top), gaps=there[-MOST_GAPS:])

    def without(self, index: int) -> Place:
        """The first gap was read up to `index`."""
        (_, last), *rest = self.gaps
        return replace(self, gaps=((index + 1, last), *rest) if index < last else tuple(rest))


class EventLog:
    """Reads one board's log. `begin` at each connection; then `live` and `missed`, which may run side by side."""

    def __init__(self, board: Board, memory: Memory | None, born: int = 1) -> None:
        """`born` is the first epoch of a log that nothing is known of: where the memory was lost, another one than
        before, so that no entry is taken for an older one of the same index."""
        self._born = born
        self.place = Place(0, 0)
        self.lost = 0
        """Events that the board wrote over before we read them."""
        self.unkept = ""
        """Why our place is not on the disk: reading goes on, because a full disk must not close a door."""
        self._board = board
        self._memory = memory

    async def begin(self, last: int, deadline: float) -> None:
        """Find our place in a log that ends with `last`. On the first day all that is there is somebody else's
        history and is left alone."""
        known = Place.of(self._memory.get(PLACE) if self._memory else None)
        first = (await self._board.event(0, deadline)).index if last else 0
        newest = await self._board.event(last, deadline) if last else None
        mark = newest.mark if newest else ""
        if known is None:
            self.place = Place(self._born, last, mark)
        elif await self._goes_on(known, last, deadline):
            self.lost = max(0, first - known.top - 1)
            self.place = replace(known.resumed(first, last), mark=mark)
        else:
            self.place = replace(Place(known.epoch + 1, 0).resumed(first, last), mark=mark)
        await self._keep()

    async def _goes_on(self, known: Place, last: int, deadline: float) -> bool:
        """Whether it is the log that we know: it has our last entry, unless that was written over by now."""
        if known.top == 0:
            return True
        if known.top > last:
            return False
        entry = await self._board.event(known.top, deadline)
        return entry.kind == OVERWRITTEN or entry.mark == known.mark

    def unread(self, last: int) -> int:
        """Entries that were not handled yet of a log that ends with `last`."""
        return max(0, last - self.place.top) + sum(b - a + 1 for a, b in self.place.gaps)

    async def live(self, deadline: float) -> LogEntry | None:
        """The next entry after `top`; None when there is none yet. Call `handled` when it was reported."""
        entry = await self._board.event(self.place.top + 1, deadline)
        if entry.kind == OVERWRITTEN:
            first = (await self._board.event(0, deadline)).index
            self.lost += first - self.place.top - 1
            self.place = replace(self.place, top=first - 1)
            return await self.live(deadline)
        return entry if entry.kind != NOTHING and entry.index == self.place.top + 1 else None

    async def handled(self, entry: LogEntry) -> None:
        """The entry that `live` gave was reported."""
        self.place = replace(self.place, top=entry.index, mark=entry.mark)
        await self._keep()

    async def missed(self, deadline: float) -> LogEntry | None:
        """The next entry of the gaps; None when there is none (left). Call `caught_up` when it was reported."""
        while self.place.gaps:
            index = self.place.gaps[0][0]
            entry = await self._board.event(index, deadline)
            if entry.index == index and entry.kind not in (NOTHING, OVERWRITTEN):
                return entry
            self.lost += entry.kind == OVERWRITTEN
            self.place = self.place.without(index)
        return None

    async def caught_up(self, entry: LogEntry) -> None:
        """The entry that `missed` gave was reported."""
        self.place = self.place.without(entry.index)
        await self._keep()

    async def _keep(self) -> None:
        if self._memory is None:
            self.unkept = "no memory was given"
            return
        try:
            await self._memory.keep(PLACE, self.place.text())
        except OSError as error:
            self.unkept = f"{type(error).__name__}: {error.strerror or error}"
        else:
            self.unkept = ""
