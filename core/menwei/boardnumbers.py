"""Card numbers for boards that decide alone, and what each board was confirmed to hold: the rows of both.

Everywhere else a card is a keyed hash. A board has to be given the number itself, so at sites with such a board, and in
its format only, the number is kept too, sealed under the machine key: whoever has the key and the store can read it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, select

from menwei import schema
from menwei.changes import PutIdentifier
from menwei.columns import among, chunks
from menwei.keys import Keys
from menwei.model import CredentialIdentifier, IdentifierType
from menwei.store import Store

PAGE = 500
"""Rows read at once."""

NUMBERS, CARDS, IDENTIFIERS = schema.board_numbers, schema.board_cards, schema.identifiers


@dataclass(frozen=True, slots=True)
class Held:
    """One row of what a board holds: `holding` as `BoardCard.holding` says."""

    digest: bytes
    credential: int | None
    sealed: bytes = field(repr=False)
    holding: str


def _context(digest: bytes) -> str:
    return f"board_numbers/{digest.hex()}"


def seal_number(keys: Keys, digest: bytes, value: str) -> bytes:
    return keys.seal(value.encode(), _context(digest))


def open_number(keys: Keys, digest: bytes, sealed: bytes) -> str:
    """Raises `SealBroken`."""
    return keys.unseal(sealed, _context(digest)).decode()


def card_digest(keys: Keys, format: str, value: str) -> bytes:
    return keys.digest(CredentialIdentifier(IdentifierType.CARD, format, value))


def identifier_change(
    keys: Keys, credential: int, form: CredentialIdentifier, for_boards: bool
) -> PutIdentifier:
    """The change that makes `form` mean this credential; with its number sealed beside it where boards need it."""
    digest = keys.digest(form)
    number = seal_number(keys, digest, form.value) if for_boards else None
    return PutIdentifier(credential, digest, form.type, form.format, number)


class BoardNumbers:
    """The two tables. Every method is one transaction, or one read of one state."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def digests(self, format: str) -> list[bytes]:
        """Of every card whose number is known in this format."""
        query = select(NUMBERS.c.digest).where(NUMBERS.c.format == format)
        return [row.digest async for row in self._by_digest(query, NUMBERS.c.digest)]

    async def _by_digest(self, query: Select[Any], digest: ColumnElement[bytes]) -> AsyncIterator[Row[Any]]:
        """All rows as of one moment, a page at a time: making objects of a village's cards takes long enough for somebody
        at a door to notice."""
        last = b""
        async with self._store.read() as connection:
            while True:
                page = query.where(digest > last).order_by(digest).limit(PAGE)
                rows = (await connection.execute(page)).all()
                for row in rows:
                    yield row
                if len(rows) < PAGE:
                    return
                last = rows[-1].digest

    async def sealed(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        query = select(NUMBERS.c.digest, NUMBERS.c.sealed)
        async with self._store.read() as connection:
            rows = await among(connection, query, NUMBERS.c.digest, digests)
        return {row.digest: row.sealed for row in rows}

    async def known(self, digest: bytes) -> bool:
        return bool(await self.sealed([digest]))

    async def held(self, device: str) -> AsyncIterator[Held]:
        """What a board was last confirmed to hold."""
        async for row in self._by_digest(select(CARDS).where(CARDS.c.device == device), CARDS.c.digest):
            yield Held(row.digest, row.credential, row.sealed, row.holding)

    async def confirm(self, device: str, cards: Iterable[Held]) -> None:
        rows: list[dict[str, Any]] = [
            {"device": device, "digest": c.digest, "credential": c.credential, "sealed": c.sealed, "holding": c.holding}
            for c in cards
        ]  # fmt: skip
        async with self._store.transaction() as tx:
            await tx.upsert(CARDS, rows)

    async def gone(self, device: str, digests: Sequence[bytes]) -> None:
        """The board was confirmed to hold these no more."""
        async with self._store.transaction() as tx:
            for some in chunks(digests):
                await tx.execute(delete(CARDS).where(CARDS.c.device == device, CARDS.c.digest.in_(some)))

    async def devices(self) -> dict[str, int]:
        """The devices that hold cards of ours, with how many."""
        query = select(CARDS.c.device, func.count()).group_by(CARDS.c.device)
        async with self._store.read() as connection:
            return {row[0]: row[1] for row in (await connection.execute(query)).all()}

    async def keep_only(self, formats: Collection[str]) -> int:
        """Forget the numbers that no board of this site needs (any more); how many those were."""
        query = select(func.count()).select_from(NUMBERS).where(NUMBERS.c.format.not_in(formats))
        async with self._store.read() as connection:
            count = (await connection.execute(query)).scalar_one()
        if count:
            async with self._store.transaction() as tx:
                await tx.execute(delete(NUMBERS).where(NUMBERS.c.format.not_in(formats)))
        return int(count)

    async def abandon(self, device: str) -> None:
        """The device is not of this site any more: what it holds cannot be reached."""
        async with self._store.transaction() as tx:
            await tx.execute(delete(CARDS).where(CARDS.c.device == device))


__all__ = ["BoardNumbers", "Held", "card_digest", "identifier_change", "open_number", "seal_number"]
