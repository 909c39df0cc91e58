"""The cards of a household's members over HTTP: given, touched, collected with the consent, lost, found, ended, and
where ended ones were tried.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from menwei import (
    FOREVER,
    CardFormatError,
    Credential,
    CredentialIdentifier,
    CredentialState,
    normalise,
)
from menwei.routes import Call, Done, Problem, Route, number
from menwei_tenancy.actors import BASE, BY_COMMITTEE, BY_DESK, BY_HOUSE, DONE, MADE, acting, doing, refusing
from menwei_tenancy.models import CancelledList, CancelledOut, Collection, Made, NewPass, PassOut, TouchedPass
from menwei_tenancy.service import Tenancy
from menwei_tenancy.words import Touch

FOUND_DAYS = timedelta(days=30).total_seconds()
"""How far back the list of cancelled credentials goes; passages are kept no longer by default."""


async def give_pass(call: Call) -> Made:
    body: NewPass = call.body
    member = _member(call)
    try:
        card = normalise(body.format, body.value)
    except CardFormatError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, error.key, "body.value", **error.values) from None
    return await _give(call, member, card)


async def touch_pass(call: Call) -> Made:
    member = await _existing(call)
    return await _give(call, member, await touched(call))


async def _give(call: Call, member: int, card: CredentialIdentifier) -> Made:
    async with doing(call) as do:
        made = await do.tenancy.passes.give(do.tx, do.acting, member, card, call.body.kind, call.body.label)
    await do.tenancy.audit(do.acting, "pass", member=member, credential=made)
    return Made(id=made)


async def collect(call: Call) -> Made:
    body: Collection = call.body
    member = await _existing(call)
    touch = Touch(await touched(call), call.house.clock.now())
    async with doing(call) as do:
        made = await do.tenancy.passes.collect(
            do.tx, do.acting, member, body.consent, touch, body.kind, body.label
        )  # fmt: skip
    await do.tenancy.audit(do.acting, "collect", member=member, credential=made)
    return Made(id=made)


async def _existing(call: Call) -> int:
    """The member, before anybody is asked to touch anything."""
    tenancy, who, member = call.service(Tenancy), await acting(call), _member(call)
    with refusing():
        async with tenancy.read() as reading:
            await tenancy.households.member(reading, who, member)
    return member


async def touched(call: Call) -> CredentialIdentifier:
    """The card that is touched at `call.body.reader` within `call.body.seconds`. Raises `Problem`."""
    people = call.service(Tenancy).context.people
    return await call.brought(lambda: people.capture(call.body.reader, call.body.seconds))


async def report_lost(call: Call) -> Done:
    return await _turn(call, "report_lost")


async def restore(call: Call) -> Done:
    return await _turn(call, "restore")


async def end_pass(call: Call) -> Done:
    return await _turn(call, "end")


async def _turn(call: Call, action: str) -> Done:
    credential = number(call.path["credential"], "path.credential")
    async with doing(call) as do:
        passes = do.tenancy.passes
        change = {"report_lost": passes.report_lost, "restore": passes.restore, "end": passes.end}[action]
        await change(do.tx, do.acting, credential)
    await do.tenancy.audit(do.acting, action, credential=credential)
    return Done()


async def cancelled(call: Call) -> CancelledList:
    facts = call.service(Tenancy).context.facts
    since = call.house.clock.now() - FOUND_DAYS
    found = await facts.read({"menwei_tenancy.CancelledUse"}, since=since, limit=200, newest_first=True)
    return CancelledList(
        tries=tuple(
            CancelledOut(
                at=fact.at, door=fact.door, access_point=fact.access_point, state=CredentialState(fact.data["state"]),
                passage=fact.data["passage"],
            )
            for fact in found
        )
    )  # fmt: skip


def pass_out(credential: Credential, kind: str) -> PassOut:
    """A credential as the API shows it; `kind` is empty for one that no household gave."""
    return PassOut(
        credential=credential.id,
        kind=kind,
        state=credential.state,
        valid_from=credential.valid_from,
        valid_to=credential.valid_to if credential.valid_to < FOREVER else None,
    )


def _member(call: Call) -> int:
    return number(call.path["member"], "path.member")


def routes() -> list[Route]:
    member, credential = BASE + r"/members/{member:\d{1,18}}", BASE + r"/passes/{credential:\d{1,18}}"
    return [
        Route("POST", f"{member}/passes", give_pass, summary="tenancy.api.give_pass", body=NewPass, **MADE, **BY_HOUSE),
        Route("POST", f"{member}/touch", touch_pass, summary="tenancy.api.touch", body=TouchedPass, **MADE, **BY_DESK),
        Route("POST", f"{member}/collect", collect, summary="tenancy.api.collect", body=Collection, **MADE, **BY_DESK),
        Route("POST", f"{credential}/lost", report_lost, summary="tenancy.api.lost", destructive=True, **DONE,
              **BY_HOUSE),
        Route("POST", f"{credential}/restore", restore, summary="tenancy.api.restore", **DONE, **BY_HOUSE),
        Route("POST", f"{credential}/end", end_pass, summary="tenancy.api.end_pass", destructive=True, **DONE,
              **BY_HOUSE),
        Route("GET", f"{BASE}/cancelled", cancelled, summary="tenancy.api.cancelled", response=CancelledList,
              **BY_COMMITTEE),
    ]  # fmt: skip
