"""What comes in and goes out of the visitors' API."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from menwei.names import half_width
from menwei.routes import Model
from menwei_visitors.words import Kind, Means, Purpose


def _folded(given: Any) -> Any:
    return half_width(given) if isinstance(given, str) else given


FlatId = Annotated[str, BeforeValidator(_folded), StringConstraints(max_length=60)]
External = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]


class Invitation(Model):
    """A guest for today. `flat` is the host's; a tenant leaves it out. `external_id`: for one flat the same is the
    same pass."""

    flat: FlatId = ""
    purpose: Purpose = Purpose.FRIEND
    external_id: External | None = None


class CourierPass(Model):
    """A courier for today. `external_id`: the same is the same courier's pass."""

    external_id: External | None = None


class TouchedCard(Model):
    """The visitor's own card is to be touched at `reader` ("device/reader") within `seconds`; the request waits for it.
    Without `flat` they are a courier."""

    flat: FlatId = ""
    purpose: Purpose = Purpose.FRIEND
    reader: Annotated[str, StringConstraints(min_length=3, max_length=200)]
    seconds: Annotated[int, Field(ge=1, le=60)] = 30


class PassOut(Model):
    """A pass. `valid_to` is exclusive, in seconds since the epoch."""

    id: int
    day: date
    flat: str
    kind: Kind
    purpose: Purpose
    means: Means
    created: float
    ended: float | None
    valid_to: float


class PassShown(PassOut):
    """`code` is typed, `qr` is the text of the QR code; both are empty for a card."""

    code: str
    qr: str


class PassList(Model):
    passes: tuple[PassOut, ...]


class Shown(Model):
    """The text of a QR code that somebody shows."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=4500)]


class Host(Model):
    """An account of the role tenant invites for this flat; an empty flat: for none."""

    account: Annotated[int, Field(ge=0, lt=1 << 53)]
    flat: FlatId = ""


class HostOut(Model):
    """`invites`: whether it may now. In a flat that the plugin `tenancy` knows, only whoever lives there may."""

    account: int
    name: str
    flat: str
    invites: bool


class HostList(Model):
    """Every account of the role tenant, with the flat it invites for."""

    hosts: tuple[HostOut, ...]
