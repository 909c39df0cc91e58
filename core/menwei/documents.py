"""Identity documents at a desk: read once, held for some minutes under a handle, kept as a keyed hash.

Whoever waits for a document at an enrolment reader gets its name, its last four characters and a *handle*; the number
itself stays in here. With the handle, once, the document is written to a person: what the store keeps of the number is a
keyed hash, by which the same document is known again, and the last four characters, sealed for this machine.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import select

from menwei import schema
from menwei.changes import RightsError, SetDocument
from menwei.columns import among
from menwei.keys import Keys, SealBroken
from menwei.model import Actor, Document
from menwei.rights import Rights
from menwei.store import Store, Transaction

log = structlog.get_logger(__name__)

HELD = 600.0
"""Seconds a document is held for the desk that asked for it: long enough to find the flat and have the card touched."""
MOST = 64
"""Documents held at once; the oldest is forgotten first."""
HOLDERS = schema.holders


class UnknownHandle(RightsError):
    """No document is held under this handle for this person: used already, too old, or somebody else's."""

    says = "rights.no_document"


@dataclass(frozen=True, slots=True)
class Held:
    """A document that was just read: its `handle`, and whose it is already (holders who have not ended)."""

    handle: str
    holders: tuple[int, ...]


class Documents:
    """The documents of one site: those being entered now, and those that people are known by."""

    def __init__(
        self, store: Store, rights: Rights, keys: Keys, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._rights = rights
        self._keys = keys
        self._monotonic = monotonic
        self._held: OrderedDict[str, tuple[Document, Actor, float]] = OrderedDict()

    async def hold(self, document: Document, who: Actor) -> Held:
        """Keep a document in memory for `who`, and tell whether it is known."""
        known = await self.by_numbers([document.number], ended=False)
        self._forget_old()
        handle = secrets.token_urlsafe(18)
        self._held[handle] = (document, who, self._monotonic())
        while len(self._held) > MOST:
            self._held.popitem(last=False)
        return Held(handle, tuple(sorted(known.get(document.number, ()))))

    async def identify(
        self,
        holder: int,
        handle: str,
        *,
        who: Actor,
        actor: Actor | None = None,
        tx: Transaction | None = None,
    ) -> None:
        """The person `holder` is the one of the document that `who` had read. `actor` stands in the log of changes
        where that is not `who` themselves. The handle is used up once this is durable. Raises `UnknownHandle`,
        `DocumentTaken`, `UnknownHolder`."""
        async with nullcontext(tx) if tx is not None else self._store.transaction() as own:
            document = self._look(handle, who)
            await self._rights.apply(own, [self.change(holder, document.number)], actor=actor or who)
            own.on_commit(partial(self._used, handle))

    async def put(self, numbers: Mapping[int, str], *, actor: Actor, tx: Transaction) -> None:
        """Each holder's number, from a list. Raises `UnknownHolder`."""
        changes = [self.change(holder, number, shared=True) for holder, number in numbers.items()]
        await self._rights.apply(tx, changes, actor=actor)

    def change(self, holder: int, number: str, *, shared: bool = False) -> SetDocument:
        """What makes `number` this holder's; nothing of it can be read from the change."""
        sealed = self._keys.seal(number[-4:].encode(), _context(holder))
        return SetDocument(holder, self._hash(number), sealed, shared)

    async def by_numbers(self, numbers: Sequence[str], *, ended: bool = True) -> Mapping[str, frozenset[int]]:
        """Who is known by these numbers; `ended`: those who have left as well. Needs no key of a person."""
        wanted = {self._hash(number): number for number in numbers}
        found: dict[str, set[int]] = {}
        query = select(HOLDERS.c.id, HOLDERS.c.document)
        if not ended:
            query = query.where(HOLDERS.c.ended.is_(None))
        async with self._store.read() as connection:
            for row in await among(connection, query, HOLDERS.c.document, wanted):
                found.setdefault(wanted[row.document], set()).add(row.id)
        return {number: frozenset(holders) for number, holders in found.items()}

    def last_four(self, holder: int, sealed: bytes | None) -> str:
        """What a desk compares with the card in its hand; empty for somebody without a document."""
        if sealed is None:
            return ""
        try:
            return self._keys.unseal(sealed, _context(holder)).decode()
        except SealBroken as error:  # one damaged row must not hide everybody else
            log.error("a sealed field does not open", field=_context(holder), error=str(error))
            return ""

    def _look(self, handle: str, who: Actor) -> Document:
        self._forget_old()
        document, owner, _ = self._held.get(handle, (None, None, 0.0))
        if document is None or owner != who:
            raise UnknownHandle("no document is held under this handle")
        return document

    def _used(self, handle: str) -> None:
        self._held.pop(handle, None)

    def _forget_old(self) -> None:
        since = self._monotonic() - HELD
        while self._held and next(iter(self._held.values()))[2] < since:
            self._held.popitem(last=False)

    def _hash(self, number: str) -> bytes:
        return self._keys.blind("holders/document/" + number.upper())


def _context(holder: int) -> str:
    return f"holders/{holder}/document_sealed"


__all__ = ["HELD", "Documents", "Held", "UnknownHandle"]
