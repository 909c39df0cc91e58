"""What comes in and goes out of the tenancy's API."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from menwei import CredentialState
from menwei.names import half_width
from menwei.routes import Model
from menwei_tenancy.tables import CardKind, LeaseState
from menwei_tenancy.terms import Role, Why


def _folded(given: Any) -> Any:
    return half_width(given) if isinstance(given, str) else given


External = Annotated[str, BeforeValidator(_folded), StringConstraints(min_length=1, max_length=60)]
Number = Annotated[int, Field(ge=0, lt=1 << 53)]
PlaceName = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
PersonName = Annotated[str, StringConstraints(max_length=100, strip_whitespace=True)]
Short = Annotated[str, StringConstraints(max_length=60, strip_whitespace=True)]
Profiles = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...], Field(max_length=20)
]


class Made(Model):
    """`id` of what exists now, whether it was made or was there."""

    id: int


class Building(Model):
    """A building. `profiles`: the access profiles of its own doors."""

    name: PlaceName
    profiles: Profiles = ()


class Unit(Building):
    """A unit (staircase); `building` is the external id of its building."""

    building: External


class NewFlat(Building):
    """A flat (room); `unit` and `landlord` are external ids. No landlord: the committee's own."""

    unit: External
    landlord: External | None = None


class NewLandlord(Model):
    """`account`: the number of the account they sign in with."""

    account: Number | None = None


class FlatOut(Model):
    """`households`: how many have a running lease of it; 0 stands empty."""

    id: int
    external_id: str
    building: str
    unit: str
    name: str
    landlord: int | None
    profiles: tuple[str, ...]
    households: int


class FlatList(Model):
    """`more`: there are more than these. `next` leads to them; None for a search, whose likeliest flats these are."""

    flats: tuple[FlatOut, ...]
    next: str | None
    more: bool


class BuildingOut(Model):
    """A building with the number of its flats, and of those that stand empty."""

    external_id: str
    name: str
    flats: int
    vacant: int


class BuildingList(Model):
    buildings: tuple[BuildingOut, ...]


class FlatListing(Model):
    """`search`: a part of the name or external id, as somebody types it ("1-302"); the likeliest first. `building`: an
    external id. `vacant`: only flats that stand empty. `after`: the `next` of the page before (not with `search`)."""

    search: Annotated[str, StringConstraints(max_length=60)] = ""
    building: Annotated[str, StringConstraints(max_length=60)] = ""
    vacant: bool = False
    after: Annotated[str, StringConstraints(max_length=60)] = ""
    limit: Annotated[int, Field(ge=1, le=500)] = 200


class LeaseDays(Model):
    """Local days at the site, both included; None is open."""

    first_day: date | None = None
    last_day: date | None = None


class SyncedHousehold(LeaseDays):
    """A household of another system; `flat` is the flat's external id."""

    flat: External


class NewMember(Model):
    """Somebody who belongs to the household: a new person of this `name`, or `holder`, who is here already.

    `until`: their own last day, when it is before the lease's. `external_id`: their number in another system; landlords
    give none.
    """

    role: Role
    name: PersonName = ""
    phone: Short = ""
    holder: Number | None = None
    until: date | None = None
    external_id: External | None = None


class GivenRoom(LeaseDays):
    """A room is given until a date; `flat` is its number. With a `name`, its lessee is entered as well."""

    flat: Number
    name: PersonName = ""
    phone: Short = ""


class RoomGiven(Model):
    household: int
    member: int | None


class Extended(Model):
    """The lease's new last day, included; None is open."""

    last_day: date | None


class MemberFacts(Model):
    role: Role
    until: date | None = None


class NewPass(Model):
    """A card whose number is known, in one of the formats of card numbers."""

    format: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    value: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    kind: CardKind = CardKind.KEY_CARD
    label: Short = ""


class TouchedPass(Model):
    """A card to be touched at `reader` ("device/reader") within `seconds`; the request waits for it."""

    reader: Annotated[str, StringConstraints(min_length=3, max_length=200)]
    seconds: Annotated[int, Field(ge=1, le=60)] = 30
    kind: CardKind = CardKind.KEY_CARD
    label: Short = ""


class Collection(TouchedPass):
    """A cohabitant is collected (again): `consent` is the version of the text they consented to just now."""

    consent: Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]


class PassOut(Model):
    """`valid_to` in seconds since the epoch, exclusive; None without end."""

    credential: int
    kind: str
    state: CredentialState
    valid_from: float
    valid_to: float | None


class MemberOut(Model):
    """`name` is None while names are sealed; `document` is the end of their identity document's number, for the desk.
    `ends` (by what: `why`), `collected`, `left` in seconds since the epoch."""

    id: int
    holder: int
    name: str | None
    document: str
    role: Role
    until: date | None
    collected: float | None
    ends: float | None
    why: Why
    left: float | None
    passes: tuple[PassOut, ...]


class HouseholdOut(Model):
    """`undo_until`: a check-out can be taken back before that moment."""

    id: int
    flat: int
    first_day: date | None
    last_day: date | None
    state: LeaseState
    members: tuple[MemberOut, ...]
    undo_until: float | None


class HouseholdList(Model):
    households: tuple[HouseholdOut, ...]


class CheckedOut(Model):
    """Everything has ended; `undo_until` in seconds since the epoch."""

    undo_until: float


class Within(Model):
    days: Annotated[int, Field(ge=1, le=180)] = 7


class ExpiringOut(Model):
    member: int
    household: int
    role: Role
    ends: float


class ExpiringList(Model):
    """Whose right ends soon, the nearest first."""

    members: tuple[ExpiringOut, ...]


class CancelledOut(Model):
    """Somebody tried a door with a cancelled credential; whose it is stands, sealed, in the entry `passage`."""

    at: float
    door: str
    access_point: str
    state: CredentialState
    passage: str


class CancelledList(Model):
    tries: tuple[CancelledOut, ...]
