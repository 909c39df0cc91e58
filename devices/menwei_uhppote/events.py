"""Entries of the board's event log and what they mean. Pure.

The layout is the library's; the reasons are those that the uhppoted project found out (uhppoted-httpd, uhppote-rs).
The kind says little: boards record a granted card as a door event in one firmware and as a card event in another.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Final

from uhppoted import decode

from menwei import Reason

NOTHING, OVERWRITTEN = 0x00, 0xFF
"""The `kind` of an answer that is no entry: none has this index yet; it was written over."""

CARD_REASONS: Final = frozenset({1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 18})
"""A card was read: 1 admitted by the board, all others refused by it, which is how it should be where we decide."""
ADMITTED: Final = 1
REASONS: Final = {
    6: Reason.UNAUTHORIZED, 7: Reason.INVALID_PIN, 8: Reason.ANTIPASSBACK_VIOLATED,
    13: Reason.NOT_PERMITTED_AT_THIS_TIME, 15: Reason.NOT_PERMITTED_AT_THIS_TIME,
}  # fmt: skip
"""Why a board that decides refused; `Other` for the rest. A card that it does not hold is 6 like one without a right."""
BUTTON: Final = 20
OPENED, CLOSED = 23, 24
POWER_ON, RESET = 28, 29
FORCED: Final = 38
FIRE: Final = 39
REMOTE: Final = frozenset({44, 45})
OUT: Final = 2
"""The direction of a reader on the inside."""


class What(Enum):
    """What an entry means to us."""

    CARD = auto()
    EXIT = auto()
    OPENED = auto()
    CLOSED = auto()
    POWER = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry; `at` is the board's own wall time without a zone, None when it is no date."""

    index: int
    kind: int
    granted: bool
    door: int
    direction: int
    card: int = field(repr=False)
    at: datetime | None
    reason: int

    @property
    def what(self) -> What:
        if self.reason in CARD_REASONS and self.card != 0:
            return What.CARD
        return {
            BUTTON: What.EXIT, OPENED: What.OPENED, CLOSED: What.CLOSED, POWER_ON: What.POWER, RESET: What.POWER
        }.get(self.reason, What.OTHER)  # fmt: skip

    @property
    def reader(self) -> str:
        """`1` to `4`, and `1-out` for the reader inside door 1 on boards that have two for each door."""
        return f"{self.door}-out" if self.direction == OUT else str(self.door)

    @property
    def mark(self) -> str:
        """What tells this entry from one of the same index in another life of the log. Without the card: the mark is
        kept in a file, and a card number can be guessed from a hash."""
        facts = (
            f"{self.index} {self.kind} {self.granted} {self.door} {self.direction} {self.at} {self.reason}"
        )
        return hashlib.sha256(facts.encode()).hexdigest()[:16]


def log_entry(packet: bytes) -> LogEntry:
    """The answer to get-event. Raises `ValueError` for what is none."""
    answer = decode.get_event_response(packet)
    return LogEntry(
        index=answer.index,
        kind=answer.event_type,
        granted=answer.access_granted,
        door=answer.door,
        direction=answer.direction,
        card=answer.card,
        at=answer.timestamp,
        reason=answer.reason,
    )


def hint(packet: bytes, serial: int) -> int | None:
    """The index that an event datagram of this board speaks of; None for any other datagram."""
    try:
        event = decode.event(packet)
    except ValueError:
        return None
    return int(event.event_index) if event.controller == serial else None


@dataclass(frozen=True, slots=True)
class Status:
    """How the board says it is. `at` is its wall time, None when its clock shows none; `open` and `unlocked` by door."""

    at: datetime | None
    last: int
    open: tuple[bool, bool, bool, bool]
    unlocked: tuple[bool, bool, bool, bool]
    fire: bool


def status(packet: bytes) -> Status:
    """The answer to get-status. Raises `ValueError` for what is none."""
    answer = decode.get_status_response(packet)
    date, time = answer.system_date, answer.system_time
    return Status(
        at=datetime.combine(date, time) if date is not None and time is not None else None,
        last=answer.event_index,
        open=(answer.door_1_open, answer.door_2_open, answer.door_3_open, answer.door_4_open),
        unlocked=tuple(bool(answer.relays >> door & 1) for door in range(4)),  # type: ignore[arg-type]
        fire=bool(answer.inputs & 1),
    )
