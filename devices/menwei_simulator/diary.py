"""What the demonstration sees of the journal while it plays, and the two accounts of the doors side by side."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from menwei.chain import START, Position
from menwei.journal import Journal
from menwei.journal_entry import Recorded
from menwei_simulator.pulselog import Cause, read_pulses


@dataclass(frozen=True, slots=True)
class Seen:
    """A durable entry and when it was seen, on the monotonic clock."""

    entry: Recorded
    at: float


class Diary:
    """Follows the journal from now on, as a notifier would; `begin` forgets what was before."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._seen: list[Seen] = []
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Diary:
        self._task = asyncio.create_task(self._follow(self._journal.head))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def begin(self) -> None:
        """A new scene: only what comes from now on counts."""
        self._seen.clear()

    def at(self, door: str) -> list[Seen]:
        """What was recorded of a door since `begin`."""
        return [seen for seen in self._seen if seen.entry.door == door]

    async def until(self, door: str, found: Callable[[Recorded], bool], seconds: float) -> Seen | None:
        """The first entry of a door since `begin` that is meant; None when none came within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for seen in self.at(door):
                        if found(seen.entry):
                            return seen
                    self._news.clear()
                    await self._wait_for_news()
        except TimeoutError:
            return None

    async def holder(self, position: Position) -> int | None:
        """Whom an entry is about, from its personal part."""
        before = Position.unpack(position.packed - 1)
        for entry in await self._journal.read(before, Position.unpack(position.packed + 1), personal=True):
            if entry.personal and "holder" in entry.personal:
                return int(entry.personal["holder"])
        return None

    async def _wait_for_news(self) -> None:
        """Returns when something was recorded. Raises whatever ended the following, so that nobody waits in vain."""
        assert self._task is not None
        news = asyncio.create_task(self._news.wait())
        try:
            await asyncio.wait({news, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        if self._task.done():
            self._task.result()
            raise RuntimeError("the journal was closed while the demonstration played")

    async def _follow(self, after: Position) -> None:
        async for batch in self._journal.follow(after=after):
            now = time.monotonic()
            self._seen.extend(Seen(entry, now) for entry in batch)
            self._news.set()


@dataclass(frozen=True, slots=True)
class Comparison:
    """The controllers' account of the doors against the journal's. `alone`: pulses without a record; `lacking`: records
    without a pulse; `twice`: records with several. Each is a journal position as text."""

    pulses: int
    records: int
    alone: tuple[str, ...]
    lacking: tuple[str, ...]
    twice: tuple[str, ...]

    @property
    def equal(self) -> bool:
        return not (self.alone or self.lacking or self.twice)


async def compare(journal: Journal, pulse_log: Path, counts: Mapping[str, int] | None = None) -> Comparison:
    """Every pulse that a host commanded against every entry that must have led to one. `counts`: doors whose controller
    only counts what it was made to do: of these as many are compared, in order."""
    pulses = read_pulses(pulse_log, cause=Cause.COMMAND)
    commanded = Counter(pulse.passage for pulse in pulses)
    records: set[str] = set()
    doors: dict[str, list[str]] = {door: [] for door in counts or ()}
    after = START
    while batch := await journal.read(after, kinds=("AccessGranted", "DoorCommand")):
        opened = [entry for entry in batch if opens(entry)]
        records |= {str(entry.position) for entry in opened}
        for door in doors:
            doors[door] += [str(entry.position) for entry in opened if entry.door == door]
        after = batch[-1].position
    for door, entries in doors.items():
        count = (counts or {})[door]
        commanded.update([*entries[:count], *[f"{door} ?"] * (count - len(entries))])
    return Comparison(
        commanded.total(),
        len(records),
        tuple(sorted(commanded.keys() - records)),
        tuple(sorted(records - commanded.keys())),
        tuple(sorted(passage for passage, count in commanded.items() if count > 1)),
    )


def opens(entry: Recorded) -> bool:
    """Whether this entry stands for one release of a lock."""
    return entry.kind == "AccessGranted" or (
        entry.data.get("mode") == "Accessed" and not entry.data.get("refused")
    )


async def settled(
    journal: Journal,
    pulse_log: Path,
    counts: Mapping[str, Callable[[], Awaitable[int]]] | None = None,
    seconds: float = 5.0,
) -> Comparison:
    """`compare`, once what is on its way has arrived or `seconds` have passed."""
    end = time.monotonic() + seconds
    while True:
        counted = {door: await count() for door, count in (counts or {}).items()}
        found = await compare(journal, pulse_log, counted)
        if found.equal or time.monotonic() > end:
            return found
        await asyncio.sleep(0.1)
