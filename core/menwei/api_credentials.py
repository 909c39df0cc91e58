"""Credentials over the API: enrol by touch or by number, report lost, restore, end, renew.

Card numbers and PINs go in and never come out again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, StringConstraints

from menwei.cardformats import FORMATS, CardFormatError, is_random, normalise
from menwei.changes import (
    RightsError,
    UnknownCredential,
    UnknownHolder,
)
from menwei.entryview import place
from menwei.model import FOREVER, Credential, CredentialIdentifier, CredentialState
from menwei.readers import card_reader
from menwei.routes import WHOLE, Call, Done, Model, Problem, Role, Route, number
from menwei.supervisor import DeviceState

DESK = frozenset({Role.COMMITTEE, Role.REGISTRAR, Role.OPERATOR})
MOST_SECONDS = 60
"""How long a request may wait for a card: longer, and proxies and people have given up."""

ShortText = Annotated[str, StringConstraints(max_length=60, strip_whitespace=True)]
Pin = Annotated[str, StringConstraints(pattern=r"^[0-9]{4,8}$")]
ProfileIds = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...], Field(max_length=50)
]


class Validity(Model):
    """[from, to): `valid_from` and `valid_to` are instants, the end exclusive. For people: `first_day` and `last_day`,
    days at the site, both inclusive. What is left out: from now on, without end."""

    valid_from: AwareDatetime | None = None
    valid_to: AwareDatetime | None = None
    first_day: date | None = None
    last_day: date | None = None

    def begins(self, zone: ZoneInfo) -> float | None:
        """Seconds since the epoch; None: now."""
        if self.valid_from is not None:
            return self.valid_from.timestamp()
        return midnight(self.first_day, zone) if self.first_day is not None else None

    def ends(self, zone: ZoneInfo) -> float:
        if self.valid_to is not None:
            return self.valid_to.timestamp()
        return midnight(self.last_day, zone, after=1) if self.last_day is not None else FOREVER


class ReaderOut(Model):
    """A reader where a card can be enrolled. `id` is "device/reader"; `place` names the side of the door it is at, and
    is empty for one at a desk. `connected`: its device answers now."""

    id: str
    place: str
    connected: bool


class ReaderList(Model):
    readers: tuple[ReaderOut, ...]


class Added(Model):
    """`id` of what was made."""

    id: int


class NewCard(Validity):
    """A card whose number is known, in one of the formats of `cardformats`."""

    format: Annotated[str, StringConstraints(pattern=f"^({'|'.join(FORMATS)})$")]
    value: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    label: ShortText = ""
    profiles: ProfileIds = ()
    pin: Pin | None = None
    duress_pin: Pin | None = None


class Capture(Validity):
    """A card to be touched at `reader` ("device/reader") within `seconds`; the request waits for it."""

    reader: Annotated[str, StringConstraints(min_length=3, max_length=200)]
    seconds: Annotated[int, Field(ge=1, le=MOST_SECONDS), WHOLE] = 30
    label: ShortText = ""
    profiles: ProfileIds = ()
    pin: Pin | None = None
    duress_pin: Pin | None = None


class NewState(Model):
    """Lost: reported lost. Enabled: restored. Ended: for good."""

    state: CredentialState


def midnight(day: date, zone: ZoneInfo, after: int = 0) -> float:
    """When `day`, or the day so many after it, begins at the site."""
    try:
        day += timedelta(days=after)
        return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
    except (OverflowError, ValueError):
        raise Problem(HTTPStatus.CONFLICT, "rights.invalid_validity") from None


@contextmanager
def refusing() -> Iterator[None]:
    """What the rights refuse, as an answer to the caller."""
    try:
        yield
    except (UnknownHolder, UnknownCredential) as error:
        raise Problem(HTTPStatus.NOT_FOUND, error.says, **error.values) from None
    except RightsError as error:
        raise Problem(HTTPStatus.CONFLICT, error.says, **error.values) from None


def card_of(given: NewCard, where: str) -> CredentialIdentifier:
    """A card number as it was typed, in its one spelling."""
    try:
        card = normalise(given.format, given.value)
    except CardFormatError as error:
        raise Problem(HTTPStatus.CONFLICT, error.key, where, **error.values) from None
    if is_random(card):
        raise Problem(HTTPStatus.CONFLICT, "card.random", where)
    return card


async def list_readers(call: Call) -> ReaderList:
    """Those of the doors, then those of connected devices that belong to no door; without those that read no cards, as far
    as their devices have said so."""
    site, states = call.house.site, call.house.supervisor.states()
    ready = {device for device, (state, _) in states.items() if state is DeviceState.READY}
    told = {device: call.house.supervisor.info(device) for device in call.house.drivers() if device in ready}
    infos = {device: info for device, info in told.items() if info is not None}
    no_cards = {
        (device, reader) for device, info in infos.items() for reader in (*info.documents, *info.cardless)
    }
    found = [
        ReaderOut(id=f"{device}/{reader}", place=place(call, point.door, point.id), connected=device in ready)
        for point in site.access_points.values()
        for device, reader in point.readers
        if (device, reader) not in no_cards
    ]
    found += [
        ReaderOut(id=f"{device}/{reader}", place="", connected=True)
        for device, info in infos.items()
        for reader in info.readers
        if (device, reader) not in no_cards and (device, reader) not in site.readers
    ]
    return ReaderList(readers=tuple(found))


async def capture(call: Call) -> Added:
    """Waits for the card without holding anything but this request; the person must exist before anybody touches."""
    holder = await _existing(call)
    return await _enrol(call, holder, await touched(call, call.body))


async def touched(call: Call, wanted: Capture) -> CredentialIdentifier:
    """The card that is touched at the chosen reader. Raises `Problem` when none comes, or one nobody would know again."""
    house = call.house
    card = await call.brought(lambda: house.capture(*card_reader(house, wanted.reader), wanted.seconds))
    if is_random(card):
        raise Problem(HTTPStatus.CONFLICT, "card.random")
    return card


async def add_card(call: Call) -> Added:
    card = card_of(call.body, "body.value")
    return await _enrol(call, await _existing(call), card)


async def _existing(call: Call) -> int:
    holder = number(call.path["holder"], "path.holder")
    person = await call.house.people.get(holder)
    if person is None:
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_person", "path.holder")
    return holder


async def _enrol(call: Call, holder: int, card: CredentialIdentifier) -> Added:
    body, zone = call.body, call.house.site.zone
    with refusing():
        credential = await call.house.people.add_credential(
            holder,
            [card],
            profiles=body.profiles,
            valid_from=body.begins(zone),
            valid_to=body.ends(zone),
            pin=body.pin,
            duress_pin=body.duress_pin,
            label=body.label,
            actor=call.who,
        )
    await audit_desk(call, "credential.add", holder=holder, credential=credential)
    return Added(id=credential)


def _known_credential(call: Call) -> Credential:
    found = call.house.rights.snapshot.credential(number(call.path["credential"], "path.credential"))
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_credential", "path.credential")
    return found


async def set_state(call: Call) -> Done:
    credential = _known_credential(call)
    with refusing():
        await call.house.people.set_state(credential.id, call.body.state, actor=call.who)
    await audit_desk(
        call, f"credential.{call.body.state.lower()}", holder=credential.holder, credential=credential.id
    )
    return Done()


async def set_validity(call: Call) -> Done:
    credential, zone = _known_credential(call), call.house.site.zone
    begins = call.body.begins(zone)
    with refusing():
        await call.house.people.set_validity(
            credential.id,
            credential.valid_from if begins is None else begins,
            call.body.ends(zone),
            actor=call.who,
        )
    await audit_desk(call, "credential.validity", holder=credential.holder, credential=credential.id)
    return Done()


async def audit_desk(call: Call, action: str, **about: int) -> None:
    await call.house.audit(call.who, action, {}, about)


def routes() -> list[Route]:
    shared: dict[str, Any] = {"roles": DESK, "tags": ("people",)}
    holder, credential = r"/api/people/{holder:\d{1,18}}", r"/api/credentials/{credential:\d{1,18}}"
    return [
        Route(
            "GET", "/api/readers", list_readers, summary="api.readers", response=ReaderList,
            **shared | {"roles": DESK | {Role.GUARD}},
        ),
        Route(
            "POST", f"{holder}/capture", capture, summary="api.people.capture", body=Capture, response=Added,
            statuses=(409,), **shared,
        ),
        Route(
            "POST", f"{holder}/credentials", add_card, summary="api.people.credential", body=NewCard, response=Added,
            statuses=(409,), **shared,
        ),
        Route(
            "POST", f"{credential}/state", set_state, summary="api.credentials.state", body=NewState, response=Done,
            statuses=(409,), destructive=True, **shared,
        ),
        Route(
            "POST", f"{credential}/validity", set_validity, summary="api.credentials.validity", body=Validity,
            response=Done, statuses=(409,), **shared,
        ),
    ]  # fmt: skip
