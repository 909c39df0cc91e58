"""People and their credentials, for the desk: add, find, enrol, report lost, end.

Names are sealed: everybody at a desk can write them, only an unlocked session reads and searches them. Card numbers
and PINs go in and never come out again.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from menwei.api_credentials import (
    DESK,
    Added,
    Capture,
    NewCard,
    ShortText,
    audit_desk,
    card_of,
    refusing,
    touched,
)
from menwei.api_documents import Handle
from menwei.changes import UnknownProfile
from menwei.model import FOREVER, Credential, CredentialState, IdentifierType
from menwei.people import Person
from menwei.routes import NOT_BLANK, WHOLE, Call, Done, Model, Problem, Route, number

NameText = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NOT_BLANK)]
NoteText = Annotated[str, StringConstraints(max_length=500, strip_whitespace=True)]
HolderId = Annotated[int, Field(ge=0, lt=1 << 53), WHOLE]


class NewPerson(Model):
    """Somebody to enter. `external_id` is their number in another list, or their room; no two have the same.
    `document` is the handle of an identity document that was just read (`/api/documents/capture`). With `card`, or
    with `touch`, which waits for one to be touched, the person and the card are entered together or not at all."""

    name: NameText
    external_id: ShortText | None = None
    phone: ShortText = ""
    note: NoteText = ""
    extended: bool = False
    document: Handle | None = None
    card: NewCard | None = None
    touch: Capture | None = None


class Changes(Model):
    """What to correct of a person. What is left out (or null) stays; an empty text removes it."""

    name: NameText | None = None
    external_id: ShortText | None = None
    phone: ShortText | None = None
    note: NoteText | None = None
    extended: bool | None = None


class Listing(Model):
    """`search`: words of a name, an external id or a number. `after`: the `next` of the page before."""

    search: Annotated[str, StringConstraints(max_length=100)] = ""
    after: HolderId = 0
    limit: Annotated[int, Field(ge=1, le=200), WHOLE] = 50


class CredentialOut(Model):
    """`valid_from`, `valid_to` in seconds since the epoch, the end exclusive, None without end. `still_admitted` names
    the boards that decide alone and have not confirmed yet that this card works no more."""

    id: int
    label: str
    state: CredentialState
    valid_from: float
    valid_to: float | None
    expired: bool
    profiles: tuple[str, ...]
    factors: tuple[IdentifierType, ...]
    still_admitted: tuple[str, ...] = ()


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
    """One person. What is sealed is None without an unlocked session. `document` is the end of their identity
    document's number, empty for somebody without one."""

    id: int
    name: str | None
    external_id: str | None
    phone: str | None
    note: str | None
    extended: bool
    created: float
    ended: float | None
    document: str
    credentials: tuple[CredentialOut, ...]


class ProfileOut(Model):
    """An access profile: which access points it opens, each with its schedules."""

    id: str
    access_points: dict[str, tuple[str, ...]]


class ProfileList(Model):
    profiles: tuple[ProfileOut, ...]


# ----------------------------------------------------------------------------------------------------------- reading


async def list_people(call: Call) -> PersonList:
    """A page is cut by numbers, which mean nothing: on it people stand by their names where these can be read, those who
    have left last."""
    page: Listing = call.query
    people, words = call.house.people, page.search.strip()
    if words:
        found = await _search(call, words, page)
    else:
        found = await people.list(call.key, after=page.after, limit=page.limit)
    now = call.house.clock.now()
    return PersonList(
        people=tuple(_line(person, now) for person in sorted(found, key=_place)),
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


def _place(person: Person) -> tuple[bool, str, float]:
    return person.ended is not None, person.name or "", person.created


def _order(credential: Credential) -> tuple[bool, float, float, int]:
    """What still counts first, as it began; the number only so that the order stays."""
    ended = credential.state is CredentialState.ENDED
    return ended, credential.valid_from, credential.valid_to, credential.id


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
        document=person.document,
        credentials=tuple(
            _credential(credential, person, now, call.house.boards.pending(credential.id))
            for credential in sorted(person.credentials, key=_order)
        ),
    )


def _credential(
    credential: Credential, person: Person, now: float, still_admitted: list[str]
) -> CredentialOut:
    return CredentialOut(
        id=credential.id,
        label=person.labels.get(credential.id, ""),
        state=credential.state,
        valid_from=credential.valid_from,
        valid_to=credential.valid_to if credential.valid_to < FOREVER else None,
        expired=credential.valid_to <= now,
        profiles=credential.profiles,
        factors=tuple(sorted(credential.factors)),
        still_admitted=tuple(still_admitted),
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
    if body.card is not None and body.touch is not None:
        raise Problem(HTTPStatus.BAD_REQUEST, "web.field.invalid", "body.touch", field="touch")
    if (given := body.card or body.touch) is not None:
        zone = call.house.site.zone
        first = {
            "profiles": given.profiles,
            "valid_from": given.begins(zone),
            "valid_to": given.ends(zone),
            "pin": given.pin,
            "duress_pin": given.duress_pin,
            "label": given.label,
        }
        if isinstance(given, NewCard):
            card = card_of(given, "body.card.value")
        else:
            with refusing():  # before anybody is asked to touch
                _require_profiles(call, given.profiles)
            card = await touched(call, given)
        first["cards"] = [card]
    with refusing():
        holder = await call.house.people.add(
            body.name,
            external_id=body.external_id,
            phone=body.phone,
            note=body.note,
            extended=body.extended,
            document=body.document or "",
            actor=call.who,
            **first,
        )
    await audit_desk(call, "people.add", holder=holder)
    return Added(id=holder)


def _require_profiles(call: Call, names: Sequence[str]) -> None:
    for name in names:
        if call.house.rights.snapshot.profile(name) is None:
            raise UnknownProfile(f"there is no access profile {name!r}", profile=name)


async def change_person(call: Call) -> Done:
    """Works without the key: what a desk writes is sealed, and only the manager reads it again."""
    holder = number(call.path["holder"], "path.holder")
    changes = call.body.model_dump(exclude_none=True)
    with refusing():
        await call.house.people.change(holder, actor=call.who, **changes)
    await call.house.audit(call.who, "people.change", {"fields": sorted(changes)}, {"holder": holder})
    return Done()


async def end_person(call: Call) -> Done:
    holder = number(call.path["holder"], "path.holder")
    with refusing():
        await call.house.people.end(holder, actor=call.who)
    await audit_desk(call, "people.end", holder=holder)
    return Done()


def routes() -> list[Route]:
    shared: dict[str, Any] = {"roles": DESK, "tags": ("people",)}
    holder = r"/api/people/{holder:\d{1,18}}"
    return [
        Route("GET", "/api/people", list_people, summary="api.people.list", query=Listing, response=PersonList, **shared),
        Route(
            "POST", "/api/people", add_person, summary="api.people.add", body=NewPerson, response=Added, statuses=(404, 409),
            **shared,
        ),
        Route("GET", holder, get_person, summary="api.people.get", response=PersonOut, **shared),
        Route(
            "POST", holder, change_person, summary="api.people.change", body=Changes, response=Done, statuses=(404, 409),
            **shared,
        ),
        Route(
            "POST", f"{holder}/end", end_person, summary="api.people.end", response=Done, destructive=True, **shared
        ),
        Route("GET", "/api/profiles", list_profiles, summary="api.profiles", response=ProfileList, **shared),
    ]  # fmt: skip
