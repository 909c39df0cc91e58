"""The cards and hours on a board that decides by itself: written, read back, understood.

A card carries for each door a number: 0 never, 1 always, else a time profile. Which profile stands for which hours is
kept nowhere but on the board: profiles are read at the first use of a connection and known by what they say, so that
neither a restart nor another program's changes can make a number mean something else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import date, time
from typing import Final

from uhppoted.structs import TimeProfile

from menwei import DAY_AND_NIGHT, LAST_DAY, BoardCard, CannotHold, NotReady, WeekHours
from menwei_uhppote.board import Board, CardRecord
from menwei_uhppote.cards import CardFormat, card_value, number_of
from menwei_uhppote.profiles import HIGHEST, LOWEST, Hours, NotPossible, minutes, profiles

FIRST_DAY: Final = date(2000, 1, 1)
"""Profiles hold from here to `LAST_DAY`: the days are on the cards."""
NEVER, ALWAYS = 0, 1
UNREADABLE: Final = (date(2000, 1, 2), date(2000, 1, 1))
"""The days of a card that is not understood: it is never what was wanted."""
READING: Final = 3.0
"""Seconds for one question; a board that is busy answers within half a second."""
HOLES: Final = 20_000
"""Places in the list of cards that may have been deleted before the search for the rest is given up."""


class Holdings:
    """One board's. Made anew for each connection."""

    def __init__(self, board: Board, format: CardFormat, doors: int, until: Callable[[float], float]) -> None:
        self._board = board
        self._format = format
        self._doors = doors
        self._until = until
        self._profiles: dict[int, TimeProfile] | None = None
        self._meanings: dict[int, WeekHours | None] = {}
        """What profiles say, as far as it was worked out since one of them changed: each card asks again."""
        self._heads: dict[WeekHours, int] = {}
        self._carried: set[int] | None = None
        """Profiles that cards may carry: those seen in the last reading, and those given out since. None before it."""

    async def held(self) -> AsyncIterator[BoardCard]:
        await self._learn_profiles()
        carried: set[int] = set()
        async for record in self._records():
            carried.update(record.permissions)
            yield self._understood(record)
        self._carried = carried | set(self._heads.values())

    async def put_profiles(self, wanted: Sequence[WeekHours]) -> None:
        await self._learn_profiles()
        there = await self._there()
        kept = {hours: there[hours] for hours in wanted if hours in there}
        missing = [hours for hours in wanted if hours not in kept]
        if missing and self._carried is None:
            await self._read_through()
        for attempt in (1, 2):
            free = self._free(kept.values())
            try:
                chains = self._chains(missing, free)
            except NotPossible as error:
                if attempt == 2:
                    raise CannotHold(str(error)) from error
                self._heads = kept
                await self._read_through()
            else:
                break
        for hours, chain in chains.items():
            for profile in reversed(chain):  # the head last: until then no number stands for half of it
                await self._board.set_profile(profile, self._until(READING))
                assert self._profiles is not None
                self._profiles[profile.id] = profile
                self._meanings.clear()  # others may be linked to it
            kept[hours] = chain[0].id
        self._heads = kept
        if self._carried is not None:
            self._carried |= set(kept.values())

    async def put(self, cards: Sequence[BoardCard]) -> None:
        for card in cards:
            record = CardRecord(
                number_of(card.value, self._format), card.first_day, card.last_day, self._permissions(card)
            )
            if not await self._board.put_card(record, self._until(READING)):
                raise CannotHold("the board took no more cards")
            if await self._board.card(record.number, self._until(READING)) != record:
                raise NotReady("the board does not hold a card as it was given")

    async def remove(self, values: Iterable[str]) -> None:
        for value in values:
            number = number_of(value, self._format)
            await self._board.delete_card(number, self._until(READING))
            if await self._board.card(number, self._until(READING)) is not None:
                raise NotReady("the board kept a card that it was told to delete")

    # ------------------------------------------------------------------------------------------------------- inside

    async def _records(self) -> AsyncIterator[CardRecord]:
        left = await self._board.cards(self._until(READING))
        place = holes = 0
        while left > 0:
            place += 1
            record = await self._board.card_at(place, self._until(READING))
            if record is None:
                holes += 1
                if holes > HOLES:
                    raise NotReady("the board says it holds cards and does not show them")
                continue
            left -= 1
            yield record

    async def _read_through(self) -> None:
        """Which profiles cards carry stands on the board."""
        async for _ in self.held():
            continue

    def _understood(self, record: CardRecord) -> BoardCard:
        value = card_value(record.number, self._format) or str(record.number)
        first, last = record.first_day, record.last_day
        doors: dict[str, WeekHours] = {}
        readable = record.plain and first is not None and last is not None
        for door, permission in enumerate(record.permissions[: self._doors], start=1):
            if permission == NEVER:
                continue
            hours = DAY_AND_NIGHT if permission == ALWAYS else self._said(permission)
            readable = readable and hours is not None
            if hours is not None:
                doors[str(door)] = hours
        if not readable or first is None or last is None:
            first, last = UNREADABLE
        return BoardCard(value, first, last, doors)

    def _permissions(self, card: BoardCard) -> tuple[int, int, int, int]:
        one, two, three, four = (self._permission(card.doors.get(str(door))) for door in range(1, 5))
        return one, two, three, four

    def _permission(self, hours: WeekHours | None) -> int:
        if hours is None:
            return NEVER
        if hours == DAY_AND_NIGHT:
            return ALWAYS
        if hours not in self._heads:
            raise CannotHold("these hours were not given to the board")
        return self._heads[hours]

    async def _learn_profiles(self) -> None:
        if self._profiles is None:
            found = {}
            for number in range(LOWEST, HIGHEST + 1):
                profile = await self._board.profile(number, self._until(READING))
                if profile is not None:
                    found[number] = profile
            self._profiles = found

    async def _there(self) -> dict[WeekHours, int]:
        """The hours that stand on the board, each with the first number that says them. Working out what all 253 say takes
        too long for one turn of the event loop."""
        found: dict[WeekHours, int] = {}
        for head in list(self._profiles or {}):
            await asyncio.sleep(0)
            hours = self._said(head)
            if hours is not None:
                found.setdefault(hours, head)
        return found

    def _said(self, head: int) -> WeekHours | None:
        if head not in self._meanings:
            self._meanings[head] = self._meaning(head)
        return self._meanings[head]

    def _meaning(self, head: int) -> WeekHours | None:
        """What a chain of profiles says; None for one that is broken, or that does not hold on all days."""
        chain = self._chain(head)
        known = self._profiles or {}
        if not chain or any(number not in known for number in chain):
            return None
        parts = [known[number] for number in chain]
        if any(part.start_date > FIRST_DAY or part.end_date < LAST_DAY for part in parts):
            return None
        return WeekHours.of_minutes(minutes(parts))

    def _chain(self, head: int) -> list[int]:
        """The numbers of a chain, as far as it goes; a chain that bites its tail ends there."""
        found: list[int] = []
        while head and head not in found:
            found.append(head)
            profile = (self._profiles or {}).get(head)
            head = profile.linked_profile if profile is not None else 0
        return found

    def _free(self, kept: Iterable[int]) -> list[int]:
        used = {number for head in (*kept, *(self._carried or ())) for number in self._chain(head)}
        return [number for number in range(LOWEST, HIGHEST + 1) if number not in used]

    @staticmethod
    def _chains(missing: Sequence[WeekHours], free: list[int]) -> Mapping[WeekHours, list[TimeProfile]]:
        found = {}
        for hours in missing:
            chain = profiles(hours_of(hours), FIRST_DAY, LAST_DAY, free)
            if not chain:
                raise NotPossible("hours without any time are no hours")
            found[hours] = chain
            free = free[len(chain) :]
        return found


def hours_of(week: WeekHours) -> list[Hours]:
    """The same as spans with their days."""
    days: dict[tuple[int, int], set[int]] = {}
    for day, spans in enumerate(week.days):
        for span in spans:
            days.setdefault(span, set()).add(day)
    return [
        Hours(
            frozenset(on), time(begin // 60, begin % 60), None if end == 1440 else time(end // 60, end % 60)
        )
        for (begin, end), on in days.items()
    ]
