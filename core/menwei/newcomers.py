"""Many people at once: what an import or a sync enters in one step, sealed and hashed off the event loop.

The same rows as `People.add` and `add_credential` make one by one; ordered by kind, so that they are written together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from menwei import names
from menwei.changes import Change, InvalidName, PutCredential, PutHolder
from menwei.keys import Keys, seal_for_manager
from menwei.model import FOREVER, CredentialIdentifier, CredentialState


@dataclass(frozen=True, slots=True)
class NewCredential:
    """One credential that all of `identifiers` mean, valid [from, to)."""

    identifiers: tuple[CredentialIdentifier, ...]
    profiles: tuple[str, ...]
    valid_from: float
    valid_to: float = FOREVER


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A person to be entered, with their credentials."""

    name: str
    external_id: str | None = None
    phone: str = ""
    note: str = ""
    extended: bool = False
    credentials: tuple[NewCredential, ...] = ()
    document: str = ""
    """The number of their identity document, of which a keyed hash and four characters are kept. Also when somebody
    else has it: whoever enters a list was shown who stands in it twice."""

    def __repr__(self) -> str:  # a name in a traceback is a name in a log
        return "NewPerson(…)"


@dataclass(frozen=True, slots=True)
class Entered:
    """The numbers of a person who was entered, credentials in the order they were given."""

    holder: int
    credentials: tuple[int, ...]


def sealed_columns(
    public: bytes,
    keys: Keys,
    holder: int,
    *,
    name: str | None,
    phone: str | None,
    note: str | None,
    external_id: str | None,
) -> dict[str, bytes | None]:
    """The sealed columns of a holder, of whatever is not None; an empty text is none. Raises `InvalidName`."""
    columns: dict[str, bytes | None] = {}
    if name is not None:
        name = names.clean(name)
        if not name:
            raise InvalidName("a person needs a name")
    for column, text in {"name_sealed": name, "phone_sealed": phone, "note_sealed": note}.items():
        if text is not None:
            columns[column] = seal(public, text, f"holders/{holder}/{column}") if text else None
    if external_id is not None:
        external = names.half_width(external_id)
        columns["external_id"] = external_hash(keys, external) if external else None
        columns["external_sealed"] = (
            seal(public, external, f"holders/{holder}/external_sealed") if external else None
        )
    return columns


def external_hash(keys: Keys, external_id: str) -> bytes:
    """What an id in another list is looked up by."""
    return keys.blind("holders/external_id/" + names.half_width(external_id))


def seal(public: bytes, text: str, context: str) -> bytes:
    return seal_for_manager(public, text.encode(), context)


def changes_for(
    persons: Sequence[NewPerson],
    public: bytes,
    keys: Keys,
    identify: Callable[[int, Sequence[CredentialIdentifier]], list[Change]],
    document: Callable[[int, str], Change],
    new_id: Callable[[], int],
) -> tuple[list[Change], list[Entered]]:
    """The changes that enter these people. Called in a thread: sealing is a tenth of a millisecond a field. `identify`
    makes the identifiers of a credential, `document` what is kept of an identity document. Raises `InvalidName`,
    `CardFormatError`."""
    put_holders: list[Change] = []
    set_documents: list[Change] = []
    put_credentials: list[Change] = []
    put_identifiers: list[list[Change]] = []
    entered = []
    for person in persons:
        holder = new_id()
        columns = sealed_columns(
            public,
            keys,
            holder,
            name=person.name,
            phone=person.phone or None,
            note=person.note or None,
            external_id=person.external_id,
        )
        sealed_name = columns.pop("name_sealed")
        assert sealed_name is not None  # `sealed_columns` refuses an empty one
        put_holders.append(PutHolder(holder, sealed_name, extended=person.extended, **columns))
        if person.document:
            set_documents.append(document(holder, person.document))
        numbers = []
        for given in person.credentials:
            numbers.append(number := new_id())
            put_credentials.append(
                PutCredential(
                    number,
                    holder,
                    CredentialState.ENABLED,
                    given.valid_from,
                    given.valid_to,
                    given.profiles,
                )
            )
            put_identifiers.append(identify(number, given.identifiers))
        entered.append(Entered(holder, tuple(numbers)))
    changes = [*put_holders, *set_documents, *put_credentials, *chain.from_iterable(put_identifiers)]
    return changes, entered


__all__ = ["Entered", "NewCredential", "NewPerson", "changes_for", "external_hash", "seal", "sealed_columns"]
