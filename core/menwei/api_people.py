"""People and their credentials, for the desk: add, find, enrol, report lost, end.

Names are sealed: everybody at a desk can write them, only an unlocked session reads and searches them. Card numbers
and PINs go in and never come out again.
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
from menwei.model import FOREVER, Credential, CredentialIdentifier, CredentialState, IdentifierType
from menwei.people import Person
from menwei.plugin import NotReady
from menwei.routes import NOT_BLANK, WHOLE, Call, Done, Model, Problem, Role, Route, number

DESK = frozenset({Role.COMMITTEE, Role.REGISTRAR, Role.OPERATOR})
MOST_SECONDS = 60
"""How long a request may wait for a card: longer, and proxies and people have given up."""

NameText = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NOT_BLANK)]
ShortText = Annotated[str, StringConstraints(max_length=60, strip_whitespace=True)]
NoteText = Annotated[str, StringConstraints(max_length=500, strip_whitespace=True)]
Pin = Annotated[str, StringConstraints(pattern=r"^[0-9]{4,8}$")]
ProfileIds = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...], Field(max_length=50)
]
HolderId = Annotated[int, Field(ge=0, lt=1 << 53), WHOLE]


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


class NewPerson(Model):
    """Somebody to enter. `external_id` is their number in another list, or their room; no two have the same.
    With `card`, the person and the card are entered together or not at all."""

    name: NameText
    external_id: ShortText | None = None
    phone: ShortText = ""
    note: NoteText = ""
    extended: bool = False
    card: NewCard | None = None


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


class Listing(Model):
    """`search`: words of a name, an external id or a number. `after`: the `next` of the page before."""

    search: Annotated[str, StringConstraints(max_length=100)] = ""
    after: HolderId = 0
    limit: Annotated[int, Field(ge=1, le=200), WHOLE] = 50


class CredentialOut(Model):
    """`valid_from`, `valid_to` in seconds since the epoch, the end exclusive, None without end."""

    id: int
    label: str
    state: CredentialState
    valid_from: float
    valid_to: float | None
    expired: bool
    profiles: tuple[str, ...]
    factors: tuple[IdentifierType, ...]


class PersonLine(Model):
    """One person of a list. `enabled`: has a credential that works now. `name` is None while names are sealed."""

    id: int
    name: str | None
    ended: bool
    enabled: bool
    credentials: int


class PersonList(Model):
    people: tuple[PersonLine, ...]
    unlocked: bool
    next: int | None


class PersonOut(Model):
    """One person. What is sealed is None without an unlocked session."""

    id: int
    name: str | None
    external_id: str | None
    phone: str | None
    note: str | None
    extended: bool
    created: float
    ended: float | None
    credentials: tuple[CredentialOut, ...]


class ProfileOut(Model):
    """An access profile: which access points it opens, each with its schedules."""

    id: str
    access_points: dict[str, tuple[str, ...]]


class ProfileList(Model):
    profiles: tuple[ProfileOut, ...]


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


# ----------------------------------------------------------------------------------------------------------- reading


async def list_people(call: Call) -> PersonList:
    page: Listing = call.query
    people, words = call.house.people, page.search.strip()
    if words:
        found = await _search(call, words, page)
    else:
        found = await people.list(call.key, after=page.after, limit=page.limit)
    now = call.house.clock.now()
    return PersonList(
        people=tuple(_line(person, now) for person in found),
        unlocked=call.key is not None,
        next=found[-1].id if len(found) == page.limit else None,
    )


async def _search(call: Call, words: str, page: Listing) -> list[Person]:
    """By number or external id, which needs no key; else by name, which does."""
    people = call.house.people
    exact = int(words) if words.isascii() and words.isdigit() and len(words) < 17 else None
    for holder in (await people.by_external_id(words), exact):
        person = await people.get(holder, call.key) if holder is not None else None
        if person is not None:
            return [person]
    if call.key is None:
        raise Problem(HTTPStatus.FORBIDDEN, "web.locked", "query.search")
    return await people.search(words, call.key, after=page.after, limit=page.limit)


def _line(person: Person, now: float) -> PersonLine:
    return PersonLine(
        id=person.id,
        name=person.name,
        ended=person.ended is not None,
        enabled=any(_works(credential, now) for credential in person.credentials),
        credentials=len(person.credentials),
    )


def _works(credential: Credential, now: float) -> bool:
    return credential.state is CredentialState.ENABLED and credential.valid_from <= now < credential.valid_to


async def get_person(call: Call) -> PersonOut:
    person = await call.house.people.get(number(call.path["holder"], "path.holder"), call.key)
    if person is None:
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_person", "path.holder")
    now = call.house.clock.now()
    return PersonOut(
        id=person.id,
        name=person.name,
        external_id=person.external_id,
        phone=person.phone,
        note=person.note,
        extended=person.extended,
        created=person.created,
        ended=person.ended,
        credentials=tuple(_credential(credential, person, now) for credential in person.credentials),
    )


def _credential(credential: Credential, person: Person, now: float) -> CredentialOut:
    return CredentialOut(
        id=credential.id,
        label=person.labels.get(credential.id, ""),
        state=credential.state,
        valid_from=credential.valid_from,
        valid_to=credential.valid_to if credential.valid_to < FOREVER else None,
        expired=credential.valid_to <= now,
        profiles=credential.profiles,
        factors=tuple(sorted(credential.factors)),
    )


async def list_profiles(call: Call) -> ProfileList:
    found = []
    for profile in call.house.rights.snapshot.profiles.values():
        points: dict[str, tuple[str, ...]] = {}
        for rule in profile.rules:
            for point in sorted(rule.access_points):
                points[point] = (*points.get(point, ()), rule.schedule)
        found.append(ProfileOut(id=profile.id, access_points=points))
    return ProfileList(profiles=tuple(found))


# ----------------------------------------------------------------------------------------------------------- writing


async def add_person(call: Call) -> Added:
    body: NewPerson = call.body
    first: dict[str, Any] = {}
    if body.card is not None:
        zone = call.house.site.zone
        first = {
            "cards": [_card(body.card, "body.card.value")],
            "profiles": body.card.profiles,
            "valid_from": body.card.begins(zone),
            "valid_to": body.card.ends(zone),
            "pin": body.card.pin,
            "duress_pin": body.card.duress_pin,
            "label": body.card.label,
        }
    with refusing():
        holder = await call.house.people.add(
            body.name,
            external_id=body.external_id,
            phone=body.phone,
            note=body.note,
            extended=body.extended,
            actor=call.who,
            **first,
        )
    await _audit(call, "people.add", holder=holder)
    return Added(id=holder)


def _card(given: NewCard, where: str) -> CredentialIdentifier:
    """A card number as it was typed, in its one spelling."""
    try:
        card = normalise(given.format, given.value)
    except CardFormatError as error:
        raise Problem(HTTPStatus.CONFLICT, error.key, where, **error.values) from None
    if is_random(card):
        raise Problem(HTTPStatus.CONFLICT, "card.random", where)
    return card


async def end_person(call: Call) -> Done:
    holder = number(call.path["holder"], "path.holder")
    with refusing():
        await call.house.people.end(holder, actor=call.who)
    await _audit(call, "people.end", holder=holder)
    return Done()


async def capture(call: Call) -> Added:
    """Waits for the card without holding anything but this request; the person must exist before anybody touches."""
    holder = await _existing(call)
    device, reader = _reader(call, call.body.reader)
    try:
        card = await call.unless_gone(call.house.capture(device, reader, call.body.seconds))
    except TimeoutError:
        raise Problem(HTTPStatus.CONFLICT, "web.no_card") from None
    except NotReady:
        raise Problem(HTTPStatus.CONFLICT, "web.reader_away", "body.reader") from None
    except RuntimeError:
        raise Problem(HTTPStatus.CONFLICT, "web.reader_busy", "body.reader") from None
    return await _enrol(call, holder, card)


async def add_card(call: Call) -> Added:
    card = _card(call.body, "body.value")
    return await _enrol(call, await _existing(call), card)


async def _existing(call: Call) -> int:
    holder = number(call.path["holder"], "path.holder")
    person = await call.house.people.get(holder)
    if person is None:
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_person", "path.holder")
    return holder


def _reader(call: Call, text: str) -> tuple[str, str]:
    """A door's reader, or one at a desk that belongs to no door."""
    device, _, reader = text.partition("/")
    here = call.house.supervisor.info(device) if device in call.house.drivers() else None
    if (device, reader) not in call.house.site.readers and (here is None or reader not in here.readers):
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_reader", "body.reader")
    return device, reader


async def _enrol(call: Call, holder: int, card: CredentialIdentifier) -> Added:
    body, zone = call.body, call.house.site.zone
    if is_random(card):
        raise Problem(HTTPStatus.CONFLICT, "card.random")
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
    await _audit(call, "credential.add", holder=holder, credential=credential)
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
    await _audit(
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
    await _audit(call, "credential.validity", holder=credential.holder, credential=credential.id)
    return Done()


async def _audit(call: Call, action: str, **about: int) -> None:
    await call.house.audit(call.who, action, {}, about)


def routes() -> list[Route]:
    shared: dict[str, Any] = {"roles": DESK, "tags": ("people",)}
    holder, credential = r"/api/people/{holder:\d{1,18}}", r"/api/credentials/{credential:\d{1,18}}"
    return [
        Route("GET", "/api/people", list_people, summary="api.people.list", query=Listing, response=PersonList, **shared),
        Route(
            "POST", "/api/people", add_person, summary="api.people.add", body=NewPerson, response=Added, statuses=(409,),
            **shared,
        ),
        Route("GET", holder, get_person, summary="api.people.get", response=PersonOut, **shared),
        Route(
            "POST", f"{holder}/end", end_person, summary="api.people.end", response=Done, destructive=True, **shared
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
        Route("GET", "/api/profiles", list_profiles, summary="api.profiles", response=ProfileList, **shared),
    ]  # fmt: skip
