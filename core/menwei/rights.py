"""The one writer of rights: changes become a revision in the store and, once durable, a step of the snapshot.

    async with store.transaction() as tx:
        ...                                            # a plugin's own rows
        revision = await rights.apply(tx, changes, actor=actor)

Both are committed together or not at all. The snapshot the doors decide by follows in the order of the revisions,
before the next writer starts; a rollback never reaches it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Select, case, distinct, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from menwei import schema
from menwei.changes import (
    Change,
    DocumentTaken,
    EndHolder,
    ExternalIdTaken,
    HolderEnded,
    IdentifierTaken,
    InvalidPin,
    InvalidValidity,
    NotReviewed,
    ProfileInUse,
    ProfileOfConfig,
    PutCredential,
    PutHolder,
    PutIdentifier,
    PutProfile,
    RemoveHolder,
    RemoveIdentifier,
    RemoveProfile,
    RightsError,
    SetDocument,
    SetPin,
    SetProfiles,
    SetState,
    SetValidity,
    UnknownCredential,
    UnknownHolder,
    UnknownProfile,
)
from menwei.columns import among
from menwei.keys import Keys
from menwei.model import (
    FOREVER,
    AccessProfile,
    AccessRule,
    Actor,
    Credential,
    CredentialState,
    IdentifierType,
)
from menwei.snapshot import Delta, Snapshot, factor_bit, factors_of
from menwei.store import Store, StoreDamaged, Transaction
from menwei.writing import Writing

log = structlog.get_logger(__name__)

_PART = 5000
"""Rows read at once while loading: enough to be quick, few enough to leave no mark in the memory of the process."""
_STATES = {str(state): state for state in CredentialState}
_PIN_BIT = factor_bit(IdentifierType.PIN)


Review = Callable[[Transaction, Sequence[Change], Actor], Awaitable[None]]
"""Refuses a batch by raising a `RightsError`, before anything of it is written."""


def gives(change: Change) -> bool:
    """Whether a change may give somebody more than they had. Whatever only takes away needs nobody's consent."""
    if isinstance(change, SetState):
        return change.state is CredentialState.ENABLED
    return isinstance(
        change, PutCredential | SetValidity | SetProfiles | PutIdentifier
    )  # also of one that could be enabled later


@dataclass(frozen=True, slots=True)
class Revision:
    """One entry of the log of changes; `changes` as `Change.describe` says, with the name of the change."""

    revision: int
    at: float
    actor: Actor
    changes: tuple[dict[str, Any], ...]


class Rights:
    """`snapshot` is what the doors decide by. Empty until `load`."""

    def __init__(self, store: Store, keys: Keys, *, now: Callable[[], float] = time.time) -> None:
        self.store = store
        self.snapshot = Snapshot()
        self._keys = keys
        self.now = now
        self.reviews: list[Review] = []
        """Asked, in order, about every batch that may give somebody more than they had."""

    async def load(self) -> None:
        """Fill the snapshot from the store; once, at start. Raises `KeyMismatch` when the store belongs to another
        machine key: its hashes would match nobody; `StoreDamaged`."""
        await self.store.bind(self._keys.fingerprint)
        async with self.store.read() as connection:
            try:
                await _load(connection, self.snapshot)
            except (KeyError, TypeError, ValueError) as error:  # values that no right can have
                detail = f"{type(error).__name__}: {error}"
                raise StoreDamaged("store.damaged", file=self.store.name, detail=detail) from error

    async def apply(self, tx: Transaction, changes: Iterable[Change], *, actor: Actor) -> int:
        """Make the changes, in order, as one revision, and return its number (without changes: the newest).

        Called inside `store.transaction()`. Raises a `RightsError` and then has changed nothing, whatever the caller
        does with the rest of its transaction. Changes of one kind in a row are written together: order a large import
        by kind.
        """
        batch = tuple(changes)
        newest = (await tx.execute(select(func.max(schema.revisions.c.revision)))).scalar() or 0
        if not batch:
            return newest
        revision, at = newest + 1, self.now()
        await self._review(tx, batch, actor)
        async with tx.connection.begin_nested():
            writing = Writing(tx, self.snapshot.config_profiles, at)
            await writing.write(batch)
            await tx.execute(insert(schema.revisions), [self._log(revision, at, actor, batch)])
            delta = Delta(
                revision,
                await self._touched_credentials(tx, sorted(writing.credentials)),
                dict(writing.identifiers),
                await self._touched_profiles(tx, sorted(writing.profiles)),
            )
        tx.on_commit(partial(self.snapshot.apply, delta))
        return revision

    async def history(self, after: int = 0, limit: int = 100) -> list[Revision]:
        """The log of changes after revision `after`, oldest first."""
        table = schema.revisions
        query = select(table).where(table.c.revision > after).order_by(table.c.revision).limit(limit)
        async with self.store.read() as connection:
            rows = (await connection.execute(query)).all()
        found = []
        for row in rows:
            actor = json.loads(self._keys.unseal(row.actor_sealed, _actor_context(row.revision)))
            found.append(Revision(row.revision, row.at, Actor(**actor), tuple(row.changes)))
        return found

    async def _review(self, tx: Transaction, batch: Sequence[Change], actor: Actor) -> None:
        giving = [change for change in batch if gives(change)]
        for review in self.reviews if giving else ():
            try:
                await review(tx, giving, actor)
            except RightsError:
                raise
            except Exception as error:
                log.error("a review of rights failed; the change is refused", exc_info=error)
                raise NotReviewed(f"{type(error).__name__}: {error}") from error

    def _log(self, revision: int, at: float, actor: Actor, changes: Sequence[Change]) -> dict[str, Any]:
        who = json.dumps({"name": actor.name, "role": actor.role, "kind": actor.kind}).encode()
        return {
            "revision": revision,
            "at": at,
            "actor_sealed": self._keys.seal(who, _actor_context(revision)),
            "role": actor.role,
            "changes": [{"change": type(change).__name__, **change.describe()} for change in changes],
        }

    async def _touched_credentials(self, tx: Transaction, ids: Sequence[int]) -> dict[int, Credential | None]:
        """What the changed credentials are now, read back: the delta can not differ from a fresh load."""
        found: dict[int, Credential | None] = dict.fromkeys(ids)
        rows = await among(tx, _credentials(), schema.credentials.c.id, ids)
        carried = await among(tx, _carried(), schema.credential_profiles.c.credential, ids)
        profiles = _by_credential(carried, self.snapshot)
        found.update((row[0], _credential(row, profiles.get(row[0], ()))) for row in rows)
        return found

    async def _touched_profiles(self, tx: Transaction, ids: Sequence[str]) -> dict[str, AccessProfile | None]:
        found: dict[str, AccessProfile | None] = dict.fromkeys(ids)
        known = await among(tx, select(schema.profiles.c.id), schema.profiles.c.id, ids)
        rules = await among(tx, _rules(), schema.profile_rules.c.profile, ids)
        found.update((profile.id, profile) for profile in _profiles([row.id for row in known], rules))
        return found


# -------------------------------------------------------------------------------------------------- rows → facts


async def _load(connection: AsyncConnection, snapshot: Snapshot) -> None:
    names = (await connection.execute(select(schema.profiles.c.id))).scalars().all()
    rules = (await connection.execute(_rules())).all()
    revision = (await connection.execute(select(func.max(schema.revisions.c.revision)))).scalar() or 0
    snapshot.apply(Delta(revision, profiles={profile.id: profile for profile in _profiles(names, rules)}))

    times: dict[float, float] = {}  # many rights begin and end at the same moments: one object for each
    own, theirs = schema.credentials.c.id, schema.credential_profiles.c.credential
    last = 0
    while rows := (
        await connection.execute(_credentials().where(own > last).order_by(own).limit(_PART))
    ).all():
        first, last = rows[0][0], rows[-1][0]
        carried = (await connection.execute(_carried().where(theirs.between(first, last)))).all()
        profiles = _by_credential(carried, snapshot)
        credentials = {row[0]: _credential(row, profiles.get(row[0], ()), times) for row in rows}
        snapshot.apply(Delta(revision, credentials))

    table = schema.identifiers.c
    result = await connection.stream(select(table.digest, table.credential))
    async for part in result.partitions(_PART):
        snapshot.load_identifiers(part)


def _credentials() -> Select[Any]:
    table, identifiers = schema.credentials.c, schema.identifiers.c
    bits = case({str(kind): factor_bit(kind) for kind in IdentifierType}, value=identifiers.type)
    factors = select(func.sum(distinct(bits))).where(identifiers.credential == table.id).scalar_subquery()
    own = (table.id, table.holder, table.state, table.valid_from, table.valid_to, table.pin, table.duress)
    return select(*own, schema.holders.c.extended, factors).join_from(schema.credentials, schema.holders)


def _credential(
    row: Sequence[Any], profiles: tuple[str, ...], times: dict[float, float] | None = None
) -> Credential:
    number, holder, state, valid_from, valid_to, pin, duress, extended, factors = row
    if times is not None:
        valid_from = times.setdefault(valid_from, valid_from)
        valid_to = times.setdefault(valid_to, valid_to)
    return Credential(
        number,
        holder,
        _STATES[state],
        valid_from,
        FOREVER if valid_to is None else valid_to,
        profiles,
        factors_of((factors or 0) | (_PIN_BIT if pin else 0)),
        bool(extended),
        pin or b"",
        duress or b"",
    )


def _carried() -> Select[Any]:
    table = schema.credential_profiles.c
    return select(table.credential, table.profile).order_by(table.credential, table.place)


def _by_credential(rows: Sequence[Any], snapshot: Snapshot) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for owner, profile in rows:
        found[owner] = snapshot.carried((*found.get(owner, ()), profile))
    return found


def _rules() -> Select[Any]:
    table = schema.profile_rules.c
    return select(table.profile, table.place, table.access_point, table.schedule).order_by(
        table.profile, table.place
    )


def _profiles(names: Iterable[str], rows: Iterable[Any]) -> list[AccessProfile]:
    points: dict[str, dict[int, tuple[str, set[str]]]] = {name: {} for name in names}
    for profile, place, access_point, schedule in rows:
        points[profile].setdefault(place, (schedule, set()))[1].add(access_point)
    return [
        AccessProfile(
            name, tuple(AccessRule(frozenset(where), schedule) for schedule, where in rules.values())
        )
        for name, rules in points.items()
    ]


def _actor_context(revision: int) -> str:
    return f"revisions/{revision}/actor"


__all__ = [
    "Change",
    "DocumentTaken",
    "EndHolder",
    "ExternalIdTaken",
    "HolderEnded",
    "IdentifierTaken",
    "InvalidPin",
    "InvalidValidity",
    "NotReviewed",
    "ProfileInUse",
    "ProfileOfConfig",
    "PutCredential",
    "PutHolder",
    "PutIdentifier",
    "PutProfile",
    "RemoveHolder",
    "RemoveIdentifier",
    "RemoveProfile",
    "Revision",
    "Rights",
    "RightsError",
    "SetDocument",
    "SetPin",
    "SetProfiles",
    "SetState",
    "SetValidity",
    "UnknownCredential",
    "UnknownHolder",
    "UnknownProfile",
]
