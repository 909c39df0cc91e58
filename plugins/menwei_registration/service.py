"""Checks a file against the house, and enters it: in one transaction, or for very large files in a few, each of whole
flats. Entering the same file again, or a corrected one, corrects what is there and adds what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from menwei import Actor, Config, Context, CredentialState, Reading, Service, Transaction
from menwei_registration.checking import Checked, Entry, check
from menwei_registration.likeness import Likely, likely
from menwei_registration.sheet import Fault, SheetError, read
from menwei_registration.standing import places
from menwei_tenancy import bulk
from menwei_tenancy.service import Tenancy
from menwei_tenancy.tables import LeaseState
from menwei_tenancy.words import Acting, TenancyError

PART = 5_000
"""People of one transaction. A village is one: all of it is there, or nothing."""

Progress = Callable[[int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Findings:
    """What a check found; nothing was written."""

    checked: Checked
    faults: tuple[Fault, ...]
    likely: tuple[Likely, ...]

    @property
    def rooms(self) -> int:
        return len(self.checked.rooms)

    @property
    def people(self) -> int:
        return len(self.checked.entries)


@dataclass(slots=True)
class Counts:
    """What entering a file changed."""

    rooms: int = 0
    people: int = 0
    known: int = 0
    """People who were here before, and are as the file says now."""
    parts: list[int] = field(default_factory=list)


class Options(Config):
    """The plugin's section in the config. `months`: how long a new lease is proposed at the desk, 0 for none."""

    months: Annotated[int, Field(ge=0, le=120)] = 12


class Registration(Service):
    """Imports. Made at start; it stands on the way of no passage."""

    name = "registration"
    Config = Options

    def __init__(self, context: Context, config: Options) -> None:
        super().__init__(context, config)
        self._busy = asyncio.Lock()

    @property
    def tenancy(self) -> Tenancy:
        """Raises `LookupError` where the plugin `tenancy` is not running."""
        return self.context.service(Tenancy)

    # -------------------------------------------------------------------------------------------------------- checking

    async def examine(self, data: bytes) -> Findings:
        """Read and check a whole file. Raises `SheetError` for one that cannot be read at all."""
        async with self.tenancy.read() as reading:
            there = await places(reading)
        checked = await asyncio.to_thread(lambda: check(read(data), there))
        faults = list(checked.faults)
        async with self.tenancy.read() as reading:
            here = await bulk.known(self.tenancy, reading, [entry.resident for entry in checked.entries])
            faults += self._against_tenancy(checked, here)
            faults += await self._unknown_landlords(reading, checked)
        faults += self._taken_cards(checked, here) + self._unknown_profiles(checked)
        own = {key: row.holder for key, row in here.members.items()}
        numbers = [entry.number for entry in checked.entries if entry.number]
        holders = await self.context.people.by_documents(numbers)
        found = await asyncio.to_thread(likely, checked.entries, holders, own)
        return Findings(checked, tuple(sorted(faults, key=lambda fault: fault.row)), tuple(found))

    def _against_tenancy(self, checked: Checked, here: bulk.Known) -> list[Fault]:
        faults, term_for = [], bulk.terms(self.tenancy)
        for entry in checked.entries:
            one, home = entry.resident, here.households.get(entry.resident.household)
            member = here.members.get(one.key)
            if home is not None and home.flat != one.flat:
                faults.append(self._at(checked, entry, "flat", "tenancy.lives_elsewhere"))
            elif home is not None and home.state == LeaseState.ENDED:
                faults.append(self._at(checked, entry, "flat", "tenancy.checked_out"))
            elif member is not None and (home is None or member.household != home.id):
                faults.append(self._at(checked, entry, "flat", "tenancy.lives_elsewhere"))
            elif member is not None and member.left is not None:
                faults.append(self._at(checked, entry, "name", "tenancy.has_left"))
            elif one.card is not None and term_for(one) is None:
                faults.append(self._at(checked, entry, "last_day", "registration.over"))
        return faults

    def _taken_cards(self, checked: Checked, here: bulk.Known) -> list[Fault]:
        faults = []
        for entry in checked.entries:
            card = entry.resident.card
            held = self.context.rights.find(card) if card is not None else None
            if held is None or held.state is CredentialState.ENDED:
                continue
            member = here.members.get(entry.resident.key)
            if member is None or member.holder != held.holder:
                faults.append(self._at(checked, entry, "card", "registration.card_taken"))
        return faults

    def _unknown_profiles(self, checked: Checked) -> list[Fault]:
        return [
            Fault(
                "registration.no_profile", checked.rows[flat], checked.headings["profiles"], {"profile": name}
            )
            for flat, room in checked.rooms.items()
            for name in room.profiles or ()
            if self.context.rights.profile(name) is None
        ]

    async def _unknown_landlords(self, reading: Reading, checked: Checked) -> list[Fault]:
        rows: dict[str, int] = {}
        for flat, room in checked.rooms.items():
            if room.landlord is not None:
                rows.setdefault(room.landlord, checked.rows[flat])
        faults = []
        for name, row in rows.items():
            try:
                await self.tenancy.places.landlord_of(reading, name)
            except TenancyError as error:
                faults.append(Fault(error.says, row, checked.headings["landlord"]))
        return faults

    def _at(self, checked: Checked, entry: Entry, column: str, key: str) -> Fault:
        return Fault(key, entry.row, checked.headings.get(column, ""))

    # -------------------------------------------------------------------------------------------------------- entering

    async def enter(self, findings: Findings, by: Actor, progress: Progress | None = None) -> Counts:
        """Enter what was checked without faults. Each part is written as a whole or not at all, and a part that is there
        already changes nothing: what was interrupted goes on when the file is entered again. Raises `TenancyError` or a
        `RightsError` when the house changed since the check; then that part was not written."""
        if findings.faults:
            raise ValueError("a file with faults is not entered")
        counts, done = Counts(), 0
        async with self._busy:
            for rooms, entries in _parts(findings.checked):
                async with self.tenancy.transaction() as tx:
                    await self._enter_part(
                        tx, Acting(by), rooms, entries, counts, done, findings.people, progress
                    )
                done += len(entries)
                counts.parts.append(len(entries))
                if progress is not None:
                    await progress(done, findings.people)
        return counts

    async def _enter_part(
        self,
        tx: Transaction,
        acting: Acting,
        rooms: Sequence[bulk.Room],
        entries: Sequence[Entry],
        counts: Counts,
        done: int,
        most: int,
        progress: Progress | None,
    ) -> None:
        counts.rooms += await bulk.put_rooms(self.tenancy, tx, acting, rooms)

        async def step(count: int) -> None:
            if progress is not None:
                await progress(done + count, most)

        residents = [entry.resident for entry in entries]
        placed = await bulk.put_residents(self.tenancy, tx, acting, residents, step)
        new = sum(one.new for one in placed)
        counts.people += new
        counts.known += len(placed) - new


def _parts(checked: Checked) -> Iterator[tuple[list[bulk.Room], list[Entry]]]:
    """Whole households and flats together, up to `PART` people each; rooms without people with the first."""
    homes: dict[str, list[Entry]] = {}
    for entry in checked.entries:
        homes.setdefault(entry.resident.flat, []).append(entry)
    rooms = [room for flat, room in checked.rooms.items() if flat not in homes]
    entries: list[Entry] = []
    for flat, people in homes.items():
        if entries and len(entries) + len(people) > PART:
            yield rooms, entries
            rooms, entries = [], []
        rooms.append(checked.rooms[flat])
        entries += people
    yield rooms, entries


__all__ = ["Counts", "Findings", "Registration", "SheetError"]
