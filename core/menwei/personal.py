"""Opening what is sealed about people; everything here needs the manager's private key.

Called in a thread: a page of a hundred people is some 20 ms of opening seals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from menwei import names
from menwei.keys import ManagerPrivate, SealBroken
from menwei.model import Credential

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Person:
    """A holder with their credentials. What is sealed is None unless it was opened; `labels` by credential id."""

    id: int
    name: str | None
    extended: bool
    created: float
    ended: float | None
    credentials: tuple[Credential, ...]
    phone: str | None = None
    note: str | None = None
    external_id: str | None = None
    labels: Mapping[int, str] = field(default_factory=dict)
    document: str = ""
    """The last four characters of their identity document's number; empty for somebody without one."""

    def __repr__(self) -> str:  # a name in a traceback is a name in a log
        return f"Person({self.id}, …)"


SEALED = ("name_sealed", "phone_sealed", "note_sealed", "external_id", "external_sealed")


def opener(unlocked: ManagerPrivate) -> Callable[[bytes | None, str], str | None]:
    def opened(sealed: bytes | None, context: str) -> str | None:
        if sealed is None:
            return None
        try:
            return unlocked.open(sealed, context).decode()
        except SealBroken as error:  # one damaged row must not hide everybody else
            log.error("a sealed field does not open", field=context, error=str(error))
            return None

    return opened


def opened_people(
    rows: Sequence[tuple[Any, tuple[Credential, ...]]],
    labels: Mapping[int, bytes],
    unlocked: ManagerPrivate,
    documents: Mapping[int, str],
) -> list[Person]:
    opened = opener(unlocked)
    found = []
    for row, credentials in rows:
        texts = {
            column: opened(getattr(row, column), f"holders/{row.id}/{column}")
            for column in SEALED
            if column != "external_id"
        }
        names_of_cards = {
            credential.id: opened(labels.get(credential.id), f"credentials/{credential.id}/label") or ""
            for credential in credentials
        }
        found.append(
            Person(
                row.id,
                texts["name_sealed"],
                row.extended,
                row.created,
                row.ended,
                credentials,
                texts["phone_sealed"],
                texts["note_sealed"],
                texts["external_sealed"],
                names_of_cards,
                documents.get(row.id, ""),
            )
        )
    return found


def search_tokens(rows: Sequence[Any], unlocked: ManagerPrivate) -> list[dict[str, Any]]:
    opened = opener(unlocked)
    found = []
    for number, name_sealed, phone_sealed in rows:
        name = opened(name_sealed, f"holders/{number}/name_sealed") or ""
        phone = opened(phone_sealed, f"holders/{number}/phone_sealed") or ""
        found += [{"token": unlocked.blind(word), "holder": number} for word in names.words_of(name, phone)]
    return found
