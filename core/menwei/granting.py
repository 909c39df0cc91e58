"""Makes what a plugin is handed: the objects behind `permissions.py`, each bound to one plugin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import MetaData, Table
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Executable, TextClause, visitors

from menwei.changes import Change
from menwei.journal import Entry, Recorded
from menwei.model import (
    FOREVER,
    AccessPoint,
    AccessProfile,
    Actor,
    Credential,
    CredentialIdentifier,
    Door,
    DoorMode,
)
from menwei.permissions import CommandResult, DoorView, Fact, Transaction
from menwei.readers import card_reader
from menwei.store import Store
from menwei.store import Transaction as CoreTransaction
from menwei.subjects import PluginFiles, PluginSubjects

if TYPE_CHECKING:
    from menwei.keys import Keys
    from menwei.loader import LoadedPlugin
    from menwei.newcomers import Entered, NewPerson
    from menwei.personal import Person
    from menwei.services import House

RECORD_PATIENCE = 5.0
"""Seconds a plugin's own fact may wait to be durable: nobody stands at a door for it."""


def grants(
    plugin: LoadedPlugin, allowed: Iterable[str], house: House, keys: Keys, data: Path | None = None
) -> dict[str, Any]:
    """What `plugin` is handed, by permission; `allowed` are the words of its manifest that the config allows, `data` is
    the site's folder (None: no plugin keeps files here)."""
    words = frozenset(allowed)
    granted: dict[str, Any] = {}
    if plugin.schema is not None or "rights" in words:
        granted["tables"] = OwnTables(plugin.name, plugin.schema or MetaData(), house.rights.store, keys)
    if "rights" in words:
        granted["rights"] = PluginRights(plugin.name, house, keys)
        granted["people"] = PluginPeople(plugin.name, house)
    if "doors" in words:
        granted["doors"] = PluginDoors(plugin.name, house)
    if "files" in words and data is not None:
        granted["files"] = PluginFiles(plugin.name, data / plugin.name, keys)
    if "subjects" in words:
        kinds = tuple((cls.identifier, cls.format) for cls in plugin.recognizers)
        granted["subjects"] = PluginSubjects(kinds, house, keys)
    if plugin.manifest is not None:
        asked = plugin.manifest.permissions
        own = {name: f"{plugin.package}.{name}" for name in asked.publishes}
        granted["facts"] = PluginFacts(plugin.name, house, frozenset({*asked.facts, *own.values()}), own)
    return granted


@dataclass(frozen=True, slots=True)
class OwnTransaction:
    """A transaction in which a plugin reaches its own tables only."""

    core: CoreTransaction
    plugin: str
    own: MetaData

    async def execute(self, statement: Executable, rows: Any = None) -> CursorResult[Any]:
        require_own(self.plugin, self.own, statement)
        return await self.core.execute(statement, rows)

    async def upsert(self, table: Table, rows: Sequence[dict[str, Any]], once: Sequence[str] = ()) -> None:
        require_own(self.plugin, self.own, table)
        await self.core.upsert(table, rows, once)

    def on_commit(self, callback: Callable[[], None]) -> None:
        self.core.on_commit(callback)


@dataclass(frozen=True, slots=True)
class OwnReading:
    """A connection on which a plugin reads its own tables only."""

    connection: AsyncConnection
    plugin: str
    own: MetaData

    async def execute(self, statement: Executable, rows: Any = None) -> CursorResult[Any]:
        require_own(self.plugin, self.own, statement)
        result = await self.connection.execute(statement, rows)
        assert isinstance(result, CursorResult)
        return result


def require_own(plugin: str, own: MetaData, statement: Any) -> None:
    """Raises `PermissionError` when a statement speaks of somebody else's table, or hides what it speaks of."""
    for part in visitors.iterate(statement):
        if isinstance(part, TextClause):
            raise PermissionError(f"{plugin}: write the statement with SQLAlchemy Core, not as text")
        if isinstance(part, Table) and own.tables.get(part.key) is not part:
            raise PermissionError(f"{plugin}: the table {part.name!r} is not this plugin's own")


@dataclass(frozen=True, slots=True)
class OwnTables:
    plugin: str
    own: MetaData
    store: Store
    keys: Keys

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[OwnTransaction]:
        async with self.store.transaction() as tx:
            yield OwnTransaction(tx, self.plugin, self.own)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[OwnReading]:
        async with self.store.read() as connection:
            yield OwnReading(connection, self.plugin, self.own)

    def within(self, tx: Transaction) -> OwnTransaction:
        return OwnTransaction(core_transaction(tx), self.plugin, self.own)

    def blind(self, text: str) -> bytes:
        return self.keys.blind(f"plugin/{self.plugin}/{text}")


def core_transaction(tx: Transaction) -> CoreTransaction:
    """The core's transaction behind a plugin's."""
    if not isinstance(tx, OwnTransaction):
        raise TypeError("rights change in a transaction of Context.tables")
    return tx.core


def on_behalf(plugin: str, by: Actor | None) -> Actor:
    """Under whose name a plugin's change stands: its own, and whoever it acts for."""
    return Actor(plugin, "plugin", "plugin") if by is None else Actor(by.name, by.role, f"plugin:{plugin}")


@dataclass(frozen=True, slots=True)
class PluginRights:
    """The `rights` permission: credentials and profiles."""

    plugin: str
    house: House
    keys: Keys

    async def apply(self, tx: Transaction, changes: Iterable[Change], *, by: Actor | None = None) -> int:
        return await self.house.rights.apply(core_transaction(tx), changes, actor=on_behalf(self.plugin, by))

    def credential(self, credential: int) -> Credential | None:
        return self.house.rights.snapshot.credential(credential)

    def of_holder(self, holder: int) -> tuple[Credential, ...]:
        return self.house.rights.snapshot.of_holder(holder)

    def find(self, identifier: CredentialIdentifier | bytes) -> Credential | None:
        digest = identifier if isinstance(identifier, bytes) else self.keys.digest(identifier)
        return self.house.rights.snapshot.find(digest)

    def profile(self, profile: str) -> AccessProfile | None:
        return self.house.rights.snapshot.profile(profile)


@dataclass(frozen=True, slots=True)
class PluginPeople:
    """The `rights` permission: people. What it does stands in the log under the plugin's name, as for `PluginRights`."""

    plugin: str
    house: House

    async def add(
        self,
        tx: Transaction,
        name: str,
        *,
        external_id: str | None = None,
        phone: str = "",
        note: str = "",
        extended: bool = False,
        by: Actor | None = None,
    ) -> int:
        return await self.house.people.add(
            name, external_id=external_id, phone=phone, note=note, extended=extended,
            actor=on_behalf(self.plugin, by), tx=core_transaction(tx),
        )  # fmt: skip

    async def add_many(
        self, tx: Transaction, persons: Sequence[NewPerson], *, by: Actor | None = None
    ) -> Sequence[Entered]:
        actor = on_behalf(self.plugin, by)
        return await self.house.people.add_many(persons, actor=actor, tx=core_transaction(tx))

    async def add_credential(
        self,
        tx: Transaction,
        holder: int,
        identifiers: Sequence[CredentialIdentifier],
        *,
        profiles: Sequence[str],
        valid_from: float,
        valid_to: float = FOREVER,
        pin: str | None = None,
        label: str = "",
        by: Actor | None = None,
    ) -> int:
        return await self.house.people.add_credential(
            holder, identifiers, profiles=profiles, valid_from=valid_from, valid_to=valid_to, pin=pin, label=label,
            actor=on_behalf(self.plugin, by), tx=core_transaction(tx),
        )  # fmt: skip

    async def end(self, tx: Transaction, holder: int, *, by: Actor | None = None) -> None:
        await self.house.people.end(holder, actor=on_behalf(self.plugin, by), tx=core_transaction(tx))

    async def identify(self, tx: Transaction, holder: int, handle: str, *, by: Actor) -> None:
        await self.house.people.documents.identify(
            holder, handle, who=by, actor=on_behalf(self.plugin, by), tx=core_transaction(tx)
        )

    async def put_documents(
        self, tx: Transaction, numbers: Mapping[int, str], *, by: Actor | None = None
    ) -> None:
        actor = on_behalf(self.plugin, by)
        await self.house.people.documents.put(numbers, actor=actor, tx=core_transaction(tx))

    async def by_documents(self, numbers: Sequence[str]) -> Mapping[str, frozenset[int]]:
        return await self.house.people.documents.by_numbers(numbers)

    async def by_external_id(self, external_id: str) -> int | None:
        return await self.house.people.by_external_id(external_id)

    async def read(self, holders: Sequence[int], key: Any = None) -> Mapping[int, Person]:
        found = [await self.house.people.get(holder, key) for holder in dict.fromkeys(holders)]
        return {person.id: person for person in found if person is not None}

    async def capture(self, reader: str, seconds: float) -> CredentialIdentifier:
        device, name = card_reader(self.house, reader)
        return await self.house.capture(device, name, seconds)


@dataclass(frozen=True, slots=True)
class PluginDoors:
    """The `doors` permission: a plugin acts on doors under its own name, in the journal like everybody."""

    plugin: str
    house: House

    async def command(self, door: str, mode: DoorMode, reason: str) -> CommandResult:
        return await self.house.line.command(door, mode, Actor(self.plugin, "plugin", "plugin"), reason)


@dataclass(frozen=True, slots=True)
class PluginFacts:
    """Journal kinds a plugin hears (`hears`) and writes (`own`: short name → kind)."""

    plugin: str
    house: House
    hears: frozenset[str]
    own: Mapping[str, str]

    def publish(self, kind: str, **facts: Any) -> None:
        self.house.journal.post(self._entry(kind, **facts))

    async def record(self, kind: str, **facts: Any) -> str | None:
        position = await self.house.journal.record(self._entry(kind, **facts), RECORD_PATIENCE)
        return None if position is None else str(position)

    async def read(
        self,
        kinds: Iterable[str],
        *,
        since: float | None = None,
        until: float | None = None,
        limit: int = 500,
        newest_first: bool = False,
    ) -> list[Fact]:
        wanted = self._heard(kinds)
        found = await self.house.journal.read(
            kinds=wanted, since=since, until=until, limit=limit, newest_first=newest_first
        )
        return [_fact(entry) for entry in found]

    async def follow(self, name: str, kinds: Iterable[str]) -> AsyncIterator[Fact]:
        wanted, journal = self._heard(kinds), self.house.journal
        cursor = f"service:{self.plugin}.{name}"
        async for batch in journal.follow(cursor, journal.head, wanted):
            for entry in batch:
                yield _fact(entry)
                await journal.advance(cursor, entry.position)

    def hear(self, kinds: Iterable[str]) -> AsyncIterator[Fact]:
        wanted, journal = self._heard(kinds), self.house.journal
        return _each(journal.follow(None, journal.head, wanted))

    async def audit(
        self,
        actor: Actor,
        action: str,
        data: Mapping[str, Any] | None = None,
        personal: Mapping[str, Any] | None = None,
    ) -> None:
        await self.house.audit(actor, f"{self.plugin}.{action}", data or {}, personal)

    def _heard(self, kinds: Iterable[str]) -> frozenset[str]:
        wanted = frozenset(kinds)
        if strangers := sorted(wanted - self.hears):
            raise PermissionError(
                f"{self.plugin}: {', '.join(strangers)} is not declared in menwei-plugin.yaml (permissions.facts)"
            )
        return wanted

    def _entry(
        self,
        kind: str,
        *,
        door: str = "",
        access_point: str = "",
        data: Mapping[str, Any] | None = None,
        personal: Mapping[str, Any] | None = None,
    ) -> Entry:
        if kind not in self.own:
            raise PermissionError(
                f"{self.plugin}: {kind!r} is not declared in menwei-plugin.yaml (permissions.publishes)"
            )
        return Entry(self.own[kind], self.house.clock.now(), door, access_point, data or {}, personal)


async def _each(batches: AsyncIterator[list[Recorded]]) -> AsyncIterator[Fact]:
    async for batch in batches:
        for entry in batch:
            yield _fact(entry)


def _fact(entry: Recorded) -> Fact:
    return Fact(str(entry.position), entry.kind, entry.at, entry.door, entry.access_point, entry.data)


@dataclass(frozen=True, slots=True)
class PluginSite:
    """What every plugin may know of the place; always the place as it is now."""

    house: House

    @property
    def id(self) -> str:
        return self.house.site.id

    @property
    def name(self) -> str:
        return self.house.site.name

    @property
    def zone(self) -> ZoneInfo:
        return self.house.site.zone

    @property
    def language(self) -> str:
        return self.house.site.language

    @property
    def access_points(self) -> Mapping[str, AccessPoint]:
        return self.house.site.access_points

    @property
    def doors(self) -> Mapping[str, Door]:
        return self.house.site.doors

    def door(self, door: str) -> DoorView:
        return self.house.doors.view(door)


__all__ = [
    "OwnReading",
    "OwnTables",
    "OwnTransaction",
    "PluginDoors",
    "PluginFacts",
    "PluginPeople",
    "PluginRights",
    "PluginSite",
    "grants",
]
