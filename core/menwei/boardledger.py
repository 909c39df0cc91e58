"""What a board should hold beside what it was confirmed to hold, and the difference between the two, kept as it changes.

A board holds a village's cards. The two lists are laid beside each other once for each look at the rights, a slice at a
time, and from then on the difference follows each batch: nobody who asks how far a board is makes the doors wait.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from heapq import merge
from typing import TypeVar

from menwei.boardfacts import DAY_AND_NIGHT, WeekHours
from menwei.boardnumbers import Held
from menwei.boardplan import Want, Wanted

T = TypeVar("T")

SLICE = 50
"""Cards looked at before the doors get the event loop again. Most take a few microseconds, one whose days have to be worked
out a hundred, and all of that several times as long on a small or busy machine."""


async def gently(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, with the event loop given back after each slice. They must not change meanwhile. Not a thread: one that
    takes the interpreter's lock again and again keeps the loop from it altogether."""
    for place, item in enumerate(items, start=1):
        yield item
        if place % SLICE == 0:
            await asyncio.sleep(0)


class Ledger:
    """One board's. `held` and `wanted` are read by everybody and changed only here, by the board's keeper."""

    def __init__(self) -> None:
        self.held: dict[bytes, Held] = {}
        self.wanted = Wanted(0, {}, 0.0)
        self.hours: tuple[WeekHours, ...] = ()
        """All hours that `wanted` needs beside day and night, in an order of their own."""
        self._altered: dict[bytes, None] = {}
        self._new: dict[bytes, None] = {}
        self._taking: dict[bytes, None] = {}
        self._revoked: Counter[int] = Counter()

    # ------------------------------------------------------------------------------------------------- what it says

    def to_take(self) -> list[bytes]:
        return list(self._taking)

    def to_give(self) -> list[bytes]:
        """What the board holds otherwise first: among it are rights that became less."""
        return [*self._altered, *self._new]

    @property
    def taking(self) -> int:
        return len(self._taking)

    @property
    def giving(self) -> int:
        return len(self._altered) + len(self._new)

    def revoked(self) -> list[int]:
        """The credentials that the board still admits and should not."""
        return sorted(self._revoked)

    def admits(self, credential: int) -> bool:
        """Whether `credential` is among these."""
        return credential in self._revoked

    def holding(self, digest: bytes) -> str | None:
        held = self.held.get(digest)
        return held.holding if held is not None else None

    def wanted_holding(self, digest: bytes) -> str | None:
        want = self.wanted.cards.get(digest)
        return want.holding if want is not None else None

    # ---------------------------------------------------------------------------------------------------- what changes

    def remember(self, row: Held) -> None:
        """The board was confirmed to hold this in an earlier life of this program: `want` is called behind the last."""
        self.held[row.digest] = row

    async def want(self, wanted: Wanted) -> None:
        """From now on this is what should be there. Until it was looked through, everything says what was before."""
        altered: dict[bytes, None] = {}
        new: dict[bytes, None] = {}
        taking: dict[bytes, None] = {}
        revoked: Counter[int] = Counter()
        hours: dict[int, WeekHours] = {}
        async for digest, want in gently(wanted.cards.items()):
            for each in want.card.doors.values():
                hours[id(each)] = each  # the same few again and again
            held = self.held.get(digest)
            if held is None:
                new[digest] = None
            elif held.holding != want.holding:
                altered[digest] = None
        async for digest, held in gently(self.held.items()):
            if digest not in wanted.cards:
                taking[digest] = None
                if held.credential is not None:
                    revoked[held.credential] += 1
        self.wanted = wanted
        self.hours = tuple(sorted(set(hours.values()) - {DAY_AND_NIGHT}, key=WeekHours.text))
        self._altered, self._new, self._taking, self._revoked = altered, new, taking, revoked

    def confirmed(self, rows: Iterable[Held]) -> None:
        """The board holds these, as they stand here."""
        for row in rows:
            self._forget(row.digest)
            self.held[row.digest] = row
            want = self.wanted.cards.get(row.digest)
            if want is None:
                self._taking[row.digest] = None
                if row.credential is not None:
                    self._revoked[row.credential] += 1
            elif want.holding != row.holding:
                self._altered[row.digest] = None

    def gone(self, digests: Iterable[bytes]) -> None:
        """The board holds these no more."""
        for digest in digests:
            self._forget(digest)
            if digest in self.wanted.cards:
                self._new[digest] = None

    def _forget(self, digest: bytes) -> None:
        row = self.held.pop(digest, None)
        self._altered.pop(digest, None)
        self._new.pop(digest, None)
        if digest not in self._taking:
            return
        del self._taking[digest]
        if row is not None and row.credential is not None:
            self._revoked[row.credential] -= 1
            if not self._revoked[row.credential]:
                del self._revoked[row.credential]


async def fit(found: Wanted, room: int, held: Collection[bytes]) -> None:
    """Not more than the board has room for: what it holds already stays, then who came first."""
    found.overflow = max(0, len(found.cards) - room)
    if not found.overflow:
        return
    runs: list[list[tuple[bool, int, bytes]]] = [[]]
    async for digest, want in gently(found.cards.items()):
        if len(runs[-1]) == SLICE:
            runs[-1].sort()
            runs.append([])
        runs[-1].append((digest not in held, want.credential, digest))
    runs[-1].sort()
    kept: dict[bytes, Want] = {}
    async for _, _, digest in gently(merge(*runs)):
        if len(kept) == room:
            break
        kept[digest] = found.cards[digest]
    found.cards = kept


def parts(digests: Sequence[T], most: int) -> list[Sequence[T]]:
    """In order, `most` at a time."""
    return [digests[at : at + most] for at in range(0, len(digests), most)]


__all__ = ["Ledger", "fit", "gently", "parts"]
