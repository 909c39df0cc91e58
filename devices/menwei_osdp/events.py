"""What the thread of a wire tells the event loop."""

from __future__ import annotations

from dataclasses import dataclass, field

from menwei_osdp.guard import Refusal
from menwei_osdp.panel import Identity
from menwei_osdp.signals import Abilities
from menwei_osdp.trouble import Why


@dataclass(frozen=True, slots=True)
class Online:
    """The secure channel stands, under the reader's own key."""

    reader: str
    identity: Identity
    abilities: Abilities


@dataclass(frozen=True, slots=True)
class Lost:
    reader: str
    why: Why


@dataclass(frozen=True, slots=True)
class Card:
    reader: str
    format: str
    value: str = field(repr=False)
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Number:
    reader: str
    digits: str = field(repr=False)
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Tampered:
    reader: str
    active: bool


@dataclass(frozen=True, slots=True)
class Unread:
    """A read that counts for nothing; `why` holds nothing of its data."""

    reader: str
    why: str


@dataclass(frozen=True, slots=True)
class Intruded:
    """Something came for this reader that is not protected as it must be; it went nowhere."""

    reader: str
    what: Refusal


Event = Online | Lost | Card | Number | Tampered | Unread | Intruded
