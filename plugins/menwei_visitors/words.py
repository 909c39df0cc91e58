"""The nouns the plugin's functions speak with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from http import HTTPStatus


class Kind(StrEnum):
    GUEST = "guest"
    """Somebody for one flat."""
    COURIER = "courier"
    """Somebody for all flats: the doors of `courier_profiles`."""


class Purpose(StrEnum):
    """What for, as a word and never a name: all that host and desk see of a visitor."""

    FRIEND = "friend"
    DELIVERY = "delivery"
    REPAIR = "repair"
    HELP = "help"
    MOVING = "moving"
    OTHER = "other"


class Means(StrEnum):
    """What opens."""

    CODE = "code"
    """Eight digits, and the same pass as a QR code."""
    CARD = "card"
    """A card the visitor has: usually their ID card, of whose chip number a keyed hash is kept until midnight."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A visitor's right to pass today. `valid_to` is the next local midnight, exclusive."""

    id: int
    day: date
    flat: str
    kind: Kind
    purpose: Purpose
    means: Means
    attempt: int
    credential: int
    created: float
    ended: float | None
    valid_to: float


class VisitorError(Exception):
    """It cannot be done; nothing was. `says` with `values` is the message for the person, `status` for programs."""

    def __init__(self, says: str, status: int = HTTPStatus.CONFLICT, **values: str) -> None:
        super().__init__(f"{says} {' '.join(values.values())}".strip())
        self.says = says
        self.status = status
        self.values: Mapping[str, str] = values
