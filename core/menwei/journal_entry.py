"""What is written into the journal and what comes out of it, as frozen facts, and the way from one to the other."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from menwei.chain import (
    OWN_KINDS,
    SALT_SIZE,
    JournalKeys,
    Link,
    Position,
    blind_holder,
    commit,
    open_personal,
    seal_context,
)
from menwei.journal_file import JournalError
from menwei.journal_pen import Draft

log = logging.getLogger(__name__)

DATA_LIMIT = 65_536
"""Bytes of JSON in one entry, and in its personal part: an entry is a fact, not a file."""


class JournalClosed(JournalError):
    """The journal was closed."""


class JournalFull(JournalError):
    """Too much waits for the disk; the entry was dropped and counted."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened. `at`: seconds since the epoch on the trusted clock. `data` is JSON and holds nothing
    personal; `personal` is JSON too (`holder`: int, `credential`: int …), is sealed, and can be forgotten."""

    kind: str
    at: float
    door: str = ""
    access_point: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    personal: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A durable entry without its personal part. `recorded_at` and `monotonic`: the machine's clocks when it was
    handed to the journal."""

    position: Position
    kind: str
    at: float
    door: str
    access_point: str
    data: Mapping[str, Any]
    recorded_at: float
    monotonic: float


class PersonalState(StrEnum):
    """What became of an entry's personal part."""

    NONE = "none"
    """it never had one"""
    KEPT = "kept"
    FORGOTTEN = "forgotten"
    UNREADABLE = "unreadable"
    """another key, or tampered with: `verify` tells"""


@dataclass(frozen=True, slots=True)
class RecordedPersonal(Recorded):
    """A durable entry with its personal part, None unless `state` is KEPT."""

    personal: Mapping[str, Any] | None = None
    state: PersonalState = PersonalState.NONE


def draft(entry: Entry, keys: JournalKeys, future: asyncio.Future[Any] | None = None) -> Draft:
    """An entry checked, encoded and sealed. Raises `ValueError` or `TypeError` when it is not one."""
    if not entry.kind or entry.kind in OWN_KINDS:
        raise ValueError(f"not a kind for others to write: {entry.kind!r}")
    if not math.isfinite(entry.at):
        raise ValueError(f"not a time: {entry.at!r}")
    texts = entry.kind + entry.door + entry.access_point
    if not texts.isascii():
        texts.encode()  # half a character, as broken devices send, is refused here and not on the disk
    at = float(entry.at) + 0.0  # SQLite keeps -0.0 as 0, and the chain would not hold
    data = _json(entry.data).decode()
    made = Draft(
        entry.kind, at, time.time(), time.monotonic(), entry.door, entry.access_point, data, future=future
    )
    if entry.personal is not None:
        salt, plain = keys.random(SALT_SIZE), _json(entry.personal)
        made.commitment = commit(salt, plain)
        made.sealed = keys.seal(salt + plain, seal_context(made.commitment))
        holder = entry.personal.get("holder")
        made.holder = None if holder is None else blind_holder(keys, holder)
    return made


def recorded(link: Link) -> Recorded:
    return Recorded(
        link.position, link.kind, link.at, link.door, link.access_point, orjson.loads(link.data), link.recorded_at,
        link.monotonic,
    )  # fmt: skip


def recorded_personal(link: Link, keys: JournalKeys) -> RecordedPersonal:
    """An entry with what is left of its personal part. One that does not open is told, and the rest still read."""
    state, personal = PersonalState.NONE, None
    if link.sealed is not None:
        try:
            personal, state = open_personal(keys, link.sealed, link.commitment), PersonalState.KEPT
        except ValueError as error:
            log.error("journal: %s: %s", link.position, error)
            state = PersonalState.UNREADABLE
    elif link.commitment:
        state = PersonalState.FORGOTTEN
    return RecordedPersonal(
        link.position, link.kind, link.at, link.door, link.access_point, orjson.loads(link.data), link.recorded_at,
        link.monotonic, personal, state,
    )  # fmt: skip


def _json(value: Mapping[str, Any]) -> bytes:
    text = orjson.dumps(value if type(value) is dict else dict(value), default=_mapping)
    if len(text) > DATA_LIMIT:
        raise ValueError(f"an entry of {len(text)} bytes: {DATA_LIMIT} is the limit")
    return text


def _mapping(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not JSON: {type(value).__name__}")
