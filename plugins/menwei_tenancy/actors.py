"""Who acts through the tenancy's HTTP API, and how: the roles, the landlord behind an account, one transaction for each
change, and what is refused as the API says it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from menwei import RightsError, Transaction
from menwei.names import half_width
from menwei.routes import Call, Done, Problem, Role
from menwei_tenancy.models import Made
from menwei_tenancy.service import Tenancy
from menwei_tenancy.words import Acting, TenancyError

BASE = "/api/tenancy"
EXTERNAL = r"{external:[^/]{1,60}}"
"""A path's external id, that of the housing system."""
DESK = frozenset({Role.COMMITTEE, Role.REGISTRAR, Role.OPERATOR})
HOUSE = DESK | {Role.LANDLORD}
COMMITTEE = frozenset({Role.COMMITTEE, Role.OPERATOR})


def external_of(call: Call) -> str:
    """The external id that the path of this call names."""
    return half_width(call.path["external"])


# What most routes of the tenancy say alike.
BY_DESK: dict[str, Any] = {"roles": DESK, "tags": ("tenancy",)}
BY_HOUSE: dict[str, Any] = {"roles": HOUSE, "tags": ("tenancy",)}
BY_COMMITTEE: dict[str, Any] = {"roles": COMMITTEE, "tags": ("tenancy",)}
MADE: dict[str, Any] = {"response": Made, "statuses": (404, 409)}
DONE: dict[str, Any] = {"response": Done, "statuses": (404, 409)}


@dataclass(frozen=True, slots=True)
class Doing:
    """A change on its way: `audit` after it is durable."""

    tenancy: Tenancy
    tx: Transaction
    acting: Acting


@contextmanager
def refusing() -> Iterator[None]:
    """What the service and the rights refuse, as a refusal of the API."""
    try:
        yield
    except TenancyError as error:
        raise Problem(error.status, error.says, **error.values) from None
    except RightsError as error:
        raise Problem(HTTPStatus.CONFLICT, error.says, **error.values) from None


async def acting(call: Call) -> Acting:
    """Who calls; a landlord is the one whose account it is, and only signed in themselves (no token)."""
    if call.who.role != Role.LANDLORD:
        return Acting(call.who)
    tenancy = call.service(Tenancy)
    account = call.session.account.id if call.session is not None else None
    if account is not None:
        async with tenancy.read() as reading:
            landlord = await tenancy.places.landlord_of_account(reading, account)
        if landlord is not None:
            return Acting(call.who, landlord)
    raise Problem(HTTPStatus.FORBIDDEN, "tenancy.no_landlord_account")


@asynccontextmanager
async def doing(call: Call) -> AsyncIterator[Doing]:
    """One transaction of the service for this call."""
    tenancy, who = call.service(Tenancy), await acting(call)
    with refusing():
        async with tenancy.transaction() as tx:
            yield Doing(tenancy, tx, who)
