"""People and their credentials, as a desk deals with them.

A desk may always write; names, telephone numbers, notes and labels are sealed for the manager at once and read again
only with the private key of an unlocked session (`unlocked`, see `accounts.py`). Card numbers, codes and PINs go in and
never come out: what is kept of them are keyed hashes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import delete, distinct, func, insert, select, update

from menwei import names, schema
from menwei.boardnumbers import identifier_change
from menwei.cardformats import FORMATS, WIEGAND26, WIEGAND26_LE, equivalents
from menwei.changes import (
    Change,
    CredentialEnded,
    EndHolder,
    InvalidPin,
    PutCredential,
    PutHolder,
    RemoveHolder,
    SetPin,
    SetState,
    UnknownCredential,
    UnknownHolder,
)
from menwei.columns import among, new_id
from menwei.documents import Documents
from menwei.keys import Keys, ManagerPrivate
from menwei.model import FOREVER, Actor, CredentialIdentifier, CredentialState, IdentifierType
from menwei.newcomers import Entered, NewPerson, changes_for, external_hash, seal, sealed_columns
from menwei.personal import SEALED, Person, opened_people, search_tokens
from menwei.rights import Rights
from menwei.store import Store, Transaction

HOLDERS, CREDENTIALS, INDEX = schema.holders, schema.credentials, schema.holder_index
PIN_DIGITS = range(4, 9)
_INDEX_PART = 500
"""People indexed in one transaction: some 50 ms of opening seals."""


SURE_FORMATS = frozenset(FORMATS) - {WIEGAND26, WIEGAND26_LE}
"""The forms in which different cards stay different: what is kept where nobody says which readers there are."""
_Changes = list[Change]
_Persons = list[Person]  # inside the class, `list` is a method


class ManagerMissing(Exception):
    """There is no manager key yet: `Accounts.create_first` makes it at first start."""


class People:
    """The desk's way to the rights. `formats` are the card formats the site's readers use, in which every enrolled card
    is kept beside the one it was read in. Where a 26-bit reader is among them, two cards can be one to it: the second
    is then refused with `IdentifierTaken`. All methods raise `RightsError` for changes that can not be made, those
    that take cards also `CardFormatError`."""

    def __init__(
        self, store: Store, rights: Rights, keys: Keys, *, formats: frozenset[str] = SURE_FORMATS
    ) -> None:
        self._store = store
        self._rights = rights
        self._keys = keys
        self.formats = formats
        self.board_formats: frozenset[str] = frozenset()
        """The card formats that boards which decide alone are given: in these the number itself is kept, sealed."""
        self.documents = Documents(store, rights, keys)
        self._public: bytes | None = None

    # ------------------------------------------------------------------------------------------------------- write

    async def add(
        self,
        name: str,
        *,
        cards: Sequence[CredentialIdentifier] = (),
        profiles: Sequence[str] = (),
        valid_from: float | None = None,
        valid_to: float = FOREVER,
        pin: str | None = None,
        duress_pin: str | None = None,
        external_id: str | None = None,
        phone: str = "",
        note: str = "",
        label: str = "",
        extended: bool = False,
        document: str = "",
        actor: Actor,
        tx: Transaction | None = None,
    ) -> int:
        """Enter a person, with a credential for each of `cards` (losing one must not end the other), and return the
        holder's id. `valid_from` None is now; `document` is the handle of an identity document that `actor` had read.
        Raises a `RightsError`; then nobody was entered."""
        if pin is not None and not cards:
            raise InvalidPin("a PIN belongs to a card; a code that stands alone is an identifier of type PIN")
        holder = new_id()
        sealed = await self._sealed(holder, name=name, phone=phone, note=note, external_id=external_id)
        changes: _Changes = [PutHolder(holder, extended=extended, **sealed)]
        for card in cards:
            changes += await self._credential(
                holder, [card], profiles, valid_from, valid_to, pin, duress_pin, label
            )
        async with self._within(tx) as own:
            await self._rights.apply(own, changes, actor=actor)
            if document:
                await self.documents.identify(holder, document, who=actor, tx=own)
        return holder

    async def add_many(
        self, persons: Sequence[NewPerson], *, actor: Actor, tx: Transaction | None = None
    ) -> Sequence[Entered]:
        """Enter many people in one step, in their order. Raises a `RightsError` or `CardFormatError`; then nobody was
        entered."""
        public = await self._manager()
        changes, entered = await asyncio.to_thread(
            changes_for, persons, public, self._keys, self._identifiers, self._document, new_id
        )
        async with self._within(tx) as own:
            await self._rights.apply(own, changes, actor=actor)
        return entered

    async def add_credential(
        self,
        holder: int,
        identifiers: Sequence[CredentialIdentifier],
        *,
        profiles: Sequence[str] = (),
        valid_from: float | None = None,
        valid_to: float = FOREVER,
        pin: str | None = None,
        duress_pin: str | None = None,
        label: str = "",
        actor: Actor,
        tx: Transaction | None = None,
    ) -> int:
        """Give a person one more credential, which all of `identifiers` mean; returns its id."""
        changes = await self._credential(
            holder, identifiers, profiles, valid_from, valid_to, pin, duress_pin, label
        )
        async with self._within(tx) as own:
            await self._rights.apply(own, changes, actor=actor)
        put = changes[0]
        assert isinstance(put, PutCredential)
        return put.id

    async def add_identifier(
        self,
        credential: int,
        identifier: CredentialIdentifier,
        *,
        actor: Actor,
        tx: Transaction | None = None,
    ) -> None:
        """One more thing (a face, a code, a second card form) means this credential."""
        async with self._within(tx) as own:
            await self._rights.apply(own, self._identifiers(credential, [identifier]), actor=actor)

    async def change(
        self,
        holder: int,
        *,
        name: str | None = None,
        phone: str | None = None,
        note: str | None = None,
        external_id: str | None = None,
        extended: bool | None = None,
        actor: Actor,
        tx: Transaction | None = None,
    ) -> None:
        """Correct what is said of a person; None leaves it, an empty text removes it. Works while locked."""
        sealed = await self._sealed(holder, name=name, phone=phone, note=note, external_id=external_id)
        async with self._within(tx) as own:
            row = (await own.execute(select(HOLDERS).where(HOLDERS.c.id == holder))).first()
            if row is None:
                raise UnknownHolder(f"there is no holder {holder}")
            kept = {name: getattr(row, name) for name in SEALED} | sealed
            longer = row.extended if extended is None else extended
            await self._rights.apply(own, [PutHolder(holder, extended=longer, **kept)], actor=actor)

    async def end(self, holder: int, *, actor: Actor, tx: Transaction | None = None) -> None:
        """The person leaves: every credential ends now; the cards may be given to somebody else."""
        async with self._within(tx) as own:
            await self._rights.apply(own, [EndHolder(holder)], actor=actor)

    async def remove(self, holder: int, *, actor: Actor, tx: Transaction | None = None) -> None:
        """Delete a person and everything that hangs on them (retention, or at their wish)."""
        async with self._within(tx) as own:
            await self._rights.apply(own, [RemoveHolder(holder)], actor=actor)

    async def set_state(
        self, credential: int, state: CredentialState, *, actor: Actor, tx: Transaction | None = None
    ) -> None:
        """Report lost (Lost), restore (Enabled), disable, end. Raises `CredentialEnded`: what was ended stays so."""
        known = self._rights.snapshot.credential(credential)
        if known is not None and known.state is CredentialState.ENDED is not state:
            raise CredentialEnded(f"credential {credential} has ended")
        async with self._within(tx) as own:
            await self._rights.apply(own, [SetState(credential, state)], actor=actor)

    async def set_validity(
        self,
        credential: int,
        valid_from: float,
        valid_to: float,
        *,
        actor: Actor,
        tx: Transaction | None = None,
    ) -> None:
        """Renew, shorten or postpone: [from, to)."""
        await self._put_again(credential, actor, tx, valid_from=valid_from, valid_to=valid_to)

    async def set_profiles(
        self, credential: int, profiles: Sequence[str], *, actor: Actor, tx: Transaction | None = None
    ) -> None:
        """The credential carries exactly these access profiles."""
        await self._put_again(credential, actor, tx, profiles=tuple(profiles))

    async def set_pin(
        self,
        credential: int,
        pin: str | None,
        duress_pin: str | None = None,
        *,
        actor: Actor,
        tx: Transaction | None = None,
    ) -> None:
        """Set or take away (None) the PIN behind a card, and the PIN that opens and calls for help."""
        async with self._within(tx) as own:
            await self._rights.apply(own, [self._pins(credential, pin, duress_pin)], actor=actor)

    # -------------------------------------------------------------------------------------------------------- read

    async def get(self, holder: int, unlocked: ManagerPrivate | None = None) -> Person | None:
        """One person, with what `unlocked` opens."""
        found = await self._people(select(HOLDERS).where(HOLDERS.c.id == holder), unlocked)
        return found[0] if found else None

    async def list(
        self, unlocked: ManagerPrivate | None = None, *, after: int = 0, limit: int = 100
    ) -> _Persons:
        """People by id, from the one behind `after` on. Without the key: numbers, dates and credentials."""
        query = select(HOLDERS).where(HOLDERS.c.id > after).order_by(HOLDERS.c.id).limit(limit)
        return await self._people(query, unlocked)

    async def search(
        self, text: str, unlocked: ManagerPrivate, *, after: int = 0, limit: int = 100
    ) -> _Persons:
        """Who has all the words of `text` in name or telephone number: 张三, 三丰, zhangsan, zs, last four digits.
        Indexes first whoever was written while no key was at hand."""
        wanted = [unlocked.blind(word) for word in names.words_wanted(text)]
        if not wanted:
            return []
        await self.index(unlocked)
        found = select(INDEX.c.holder).where(INDEX.c.token.in_(wanted)).group_by(INDEX.c.holder)
        every = found.having(func.count(distinct(INDEX.c.token)) == len(wanted))
        query = select(HOLDERS).where(HOLDERS.c.id.in_(every), HOLDERS.c.id > after)
        return await self._people(query.order_by(HOLDERS.c.id).limit(limit), unlocked)

    async def by_external_id(self, external_id: str) -> int | None:
        """The holder whose id in another system (a lease, a list) this is. Needs no key: it compares hashes."""
        query = select(HOLDERS.c.id).where(HOLDERS.c.external_id == self._external(external_id))
        async with self._store.read() as connection:
            return (await connection.execute(query)).scalar()

    async def index(self, unlocked: ManagerPrivate) -> int:
        """Write the search words of everybody who has none yet; returns how many people that were."""
        done = 0
        while part := await self._index_some(unlocked):
            done += part
        return done

    # ------------------------------------------------------------------------------------------------------ inside

    @asynccontextmanager
    async def _within(self, tx: Transaction | None) -> AsyncIterator[Transaction]:
        if tx is not None:
            yield tx
            return
        async with self._store.transaction() as own:
            yield own

    async def _manager(self) -> bytes:
        if self._public is None:
            async with self._store.read() as connection:
                self._public = (await connection.execute(select(schema.manager.c.public))).scalar()
        if self._public is None:
            raise ManagerMissing("the manager's key is made at first start, together with the first account")
        return self._public

    async def _sealed(
        self, holder: int, *, name: str | None, phone: str | None, note: str | None, external_id: str | None
    ) -> dict[str, Any]:
        """The sealed columns of whatever is not None."""
        public = await self._manager()
        return sealed_columns(
            public, self._keys, holder, name=name, phone=phone, note=note, external_id=external_id
        )

    def _document(self, holder: int, number: str) -> Change:
        return self.documents.change(holder, number, shared=True)

    def _external(self, external_id: str) -> bytes:
        return external_hash(self._keys, external_id)

    async def _credential(
        self,
        holder: int,
        identifiers: Sequence[CredentialIdentifier],
        profiles: Sequence[str],
        valid_from: float | None,
        valid_to: float,
        pin: str | None,
        duress_pin: str | None,
        label: str,
    ) -> _Changes:
        number = new_id()
        text = names.clean(label)
        sealed = seal(await self._manager(), text, f"credentials/{number}/label") if text else None
        begins = self._rights.now() if valid_from is None else valid_from
        put = PutCredential(
            number, holder, CredentialState.ENABLED, begins, valid_to, tuple(profiles), label=sealed
        )
        changes: _Changes = [put, *self._identifiers(number, identifiers)]
        if pin is not None or duress_pin is not None:
            changes.append(self._pins(number, pin, duress_pin))
        return changes

    def _identifiers(self, credential: int, identifiers: Sequence[CredentialIdentifier]) -> _Changes:
        """Every form in which the site's readers may read the same thing."""
        forms = [
            form
            for identifier in identifiers
            for form in (equivalents(identifier) if identifier.type is IdentifierType.CARD else (identifier,))
            if form == identifier or form.format in self.formats
        ]
        return [
            identifier_change(self._keys, credential, form, form.format in self.board_formats)
            for form in dict.fromkeys(forms)
        ]

    def _pins(self, credential: int, pin: str | None, duress_pin: str | None) -> SetPin:
        for digits in (pin, duress_pin):
            if digits is not None and not (
                digits.isascii() and digits.isdigit() and len(digits) in PIN_DIGITS
            ):
                raise InvalidPin(f"a PIN has {PIN_DIGITS[0]} to {PIN_DIGITS[-1]} digits")
        hashed = [self._keys.pin(credential, digits) if digits else b"" for digits in (pin, duress_pin)]
        return SetPin(credential, *hashed)

    async def _put_again(
        self,
        credential: int,
        actor: Actor,
        tx: Transaction | None,
        *,
        valid_from: float | None = None,
        valid_to: float | None = None,
        profiles: tuple[str, ...] | None = None,
    ) -> None:
        async with self._within(tx) as own:
            row = (await own.execute(select(CREDENTIALS).where(CREDENTIALS.c.id == credential))).first()
            if row is None:
                raise UnknownCredential(f"there is no credential {credential}")
            if profiles is None:
                table = schema.credential_profiles
                carried = (
                    select(table.c.profile).where(table.c.credential == credential).order_by(table.c.place)
                )
                profiles = tuple((await own.execute(carried)).scalars())
            held_to = FOREVER if row.valid_to is None else row.valid_to
            put = PutCredential(
                credential,
                row.holder,
                CredentialState(row.state),
                row.valid_from if valid_from is None else valid_from,
                held_to if valid_to is None else valid_to,
                profiles,
                label=row.label_sealed,
            )
            await self._rights.apply(own, [put], actor=actor)

    async def _people(self, query: Any, unlocked: ManagerPrivate | None) -> _Persons:
        async with self._store.read() as connection:
            rows = (await connection.execute(query)).all()
            labels: dict[int, bytes] = {}
            if unlocked is not None:
                table = CREDENTIALS.c
                labelled = select(table.id, table.label_sealed).where(table.label_sealed.is_not(None))
                found = await among(connection, labelled, table.holder, [row.id for row in rows])
                labels.update((row.id, row.label_sealed) for row in found)
        together = [(row, self._rights.snapshot.of_holder(row.id)) for row in rows]
        lasts = {row.id: self.documents.last_four(row.id, row.document_sealed) for row in rows}
        if unlocked is None:
            return [
                Person(
                    row.id, None, row.extended, row.created, row.ended, credentials, document=lasts[row.id]
                )
                for row, credentials in together
            ]
        return await asyncio.to_thread(opened_people, together, labels, unlocked, lasts)

    async def _index_some(self, unlocked: ManagerPrivate) -> int:
        """One transaction from reading to writing: nobody's name can change in between."""
        version = names.tokeniser()
        query = select(HOLDERS.c.id, HOLDERS.c.name_sealed, HOLDERS.c.phone_sealed)
        async with self._store.read() as connection:  # mostly there is nobody: then no writer has to wait
            if (await connection.execute(query.where(HOLDERS.c.indexed < version).limit(1))).first() is None:
                return 0
        async with self._store.transaction() as tx:
            rows = (await tx.execute(query.where(HOLDERS.c.indexed < version).limit(_INDEX_PART))).all()
            ids = [row.id for row in rows]
            tokens = await asyncio.to_thread(search_tokens, rows, unlocked)
            await tx.execute(delete(INDEX).where(INDEX.c.holder.in_(ids)))
            if tokens:
                await tx.execute(insert(INDEX), tokens)
            await tx.execute(update(HOLDERS).where(HOLDERS.c.id.in_(ids)).values(indexed=version))
        return len(rows)


__all__ = ["ManagerMissing", "People", "Person"]
