"""The registration desk: somebody is entered with flat, household, role, document and card in one request, which waits
for the card to be touched. Nobody touches one, and nothing was written.

    POST /api/registration/members
"""

from __future__ import annotations

from datetime import date
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from menwei import CredentialIdentifier
from menwei.routes import Call, Model, Problem, Role, Route
from menwei_registration.service import Registration
from menwei_tenancy.actors import refusing
from menwei_tenancy.api_passes import touched
from menwei_tenancy.models import Number, PersonName, Short
from menwei_tenancy.service import Tenancy
from menwei_tenancy.tables import CardKind
from menwei_tenancy.terms import Role as MemberRole
from menwei_tenancy.words import Acting, TenancyError, Touch, not_found

ROLES = frozenset({Role.COMMITTEE, Role.REGISTRAR, Role.OPERATOR})
Handle = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
DOCUMENT_FORMAT = "idcard"
"""How a reader calls the serial of a resident identity card's chip (`menwei.cardformats`)."""


class Arrival(Model):
    """Somebody who stands at the desk. `household` None: a new one has the lease of `flat` from `first_day` to
    `last_day`. Either a new person of this `name`, or `holder`, who is here already; `document` is the handle of an
    identity document that was just read. `reader` empty: the card comes later. A cohabitant's card is collected:
    `consent` is the version of the text they consented to just now."""

    flat: Number
    household: Number | None = None
    first_day: date | None = None
    last_day: date | None = None
    role: MemberRole
    name: PersonName = ""
    phone: Short = ""
    document: Handle | None = None
    holder: Number | None = None
    until: date | None = None
    reader: Annotated[str, StringConstraints(max_length=200)] = ""
    seconds: Annotated[int, Field(ge=1, le=60)] = 30
    consent: Annotated[str, StringConstraints(max_length=60, strip_whitespace=True)] = ""


class Arrived(Model):
    """Where they stand now. `credential` None: without a card."""

    household: int
    member: int
    holder: int
    credential: int | None


async def arrive(call: Call) -> Arrived:
    body: Arrival = call.body
    tenancy, registration = call.service(Tenancy), call.service(Registration)
    await _in_order(call, tenancy)
    card = await touched(call) if body.reader else None
    acting = Acting(call.who)
    with refusing():
        async with tenancy.transaction() as tx:
            home = body.household
            if home is None:
                home = await tenancy.households.move_in(tx, acting, body.flat, body.first_day, body.last_day)
            member = await tenancy.households.add_member(
                tx, acting, home, body.role, name=body.name, phone=body.phone, holder=body.holder, until=body.until
            )  # fmt: skip
            holder = (await tenancy.households.member(tx, acting, member)).holder
            if body.document is not None:
                await registration.context.people.identify(tx, holder, body.document, by=call.who)
            credential = None
            if card is not None:
                credential = await _card(call, tenancy, tx, member, card)
    about = {"household": home, "member": member, "credential": credential}
    await registration.context.facts.audit(call.who, "arrive", personal=about)
    return Arrived(household=home, member=member, holder=holder, credential=credential)


async def _card(call: Call, tenancy: Tenancy, tx: Any, member: int, card: CredentialIdentifier) -> int:
    body, acting = call.body, Acting(call.who)
    kind = CardKind.RESIDENT_ID if card.format == DOCUMENT_FORMAT else CardKind.KEY_CARD
    if body.role is MemberRole.COHABITANT:
        touch = Touch(card, call.house.clock.now())
        return await tenancy.passes.collect(tx, acting, member, body.consent, touch, kind)
    return await tenancy.passes.give(tx, acting, member, card, kind)


async def _in_order(call: Call, tenancy: Tenancy) -> None:
    """What can be refused before anybody is asked to touch a card. Raises `Problem`."""
    body, acting = call.body, Acting(call.who)
    if not body.name and body.holder is None:
        raise Problem(HTTPStatus.BAD_REQUEST, "web.field.missing", "body.name", field=call.t("field.name"))
    if body.role is MemberRole.COHABITANT and body.reader and not body.consent:
        raise Problem(HTTPStatus.BAD_REQUEST, "tenancy.no_consent", "body.consent")
    if body.household is None and body.first_day and body.last_day and body.last_day < body.first_day:
        raise Problem(HTTPStatus.CONFLICT, "tenancy.days_reversed", "body.last_day")
    with refusing():
        async with tenancy.read() as reading:
            await tenancy.places.flat(reading, acting, body.flat)
            if body.household is not None:
                lease = await tenancy.households.lease(reading, acting, body.household)
                if lease.flat != body.flat:
                    raise not_found("household")
                if lease.state != "active":
                    raise TenancyError("tenancy.checked_out")


def routes() -> list[Route]:
    return [
        Route(
            "POST", "/api/registration/members", arrive, ROLES, summary="registration.api.arrive",
            tags=("registration",), body=Arrival, response=Arrived, statuses=(404, 409),
        )
    ]  # fmt: skip
