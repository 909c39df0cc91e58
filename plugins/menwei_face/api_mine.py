"""What a tenant sees and does about their own face: whether it is enrolled, withdraw, the receipts.

Which person an account is, the tenancy says; without it, or before the committee has said, a tenant sees nothing here.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from menwei.routes import PEOPLE_ONLY, Call, Problem, Role, Route, number
from menwei_face.api import BASE, audit, receipt_out, recorder, refusing, shown
from menwei_face.enrolment import Enrolment
from menwei_face.forms import FaceOut, ReceiptOut
from menwei_tenancy.service import Tenancy
from menwei_tenancy.words import TenancyError

TENANT = frozenset({Role.TENANT})


async def own_holder(call: Call) -> int:
    """Who the caller is. Raises `Problem`: 403 where nobody has said so, 503 where the tenancy is not running."""
    enrolment = call.service(Enrolment)
    try:
        tenancy = enrolment.context.service(Tenancy)
    except LookupError:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "face.mine.no_tenancy") from None
    assert call.session is not None  # accounts only, see the routes
    try:
        async with tenancy.read() as reading:
            return await tenancy.tenants.holder(reading, call.session.account.id)
    except TenancyError:
        raise Problem(HTTPStatus.FORBIDDEN, "face.mine.nobody") from None


async def mine(call: Call) -> FaceOut:
    holder = await own_holder(call)
    with refusing():
        return shown(await call.service(Enrolment).standing(holder))


async def withdraw(call: Call) -> ReceiptOut:
    holder = await own_holder(call)
    with refusing():
        made = await call.service(Enrolment).withdraw(recorder(call), holder)
    await audit(call, "withdraw", holder, templates=made.templates, done=made.done is not None)
    return receipt_out(made)


async def receipt(call: Call) -> ReceiptOut:
    """Another person's receipt is none."""
    holder = await own_holder(call)
    with refusing():
        found = await call.service(Enrolment).receipt(number(call.path["receipt"], "path.receipt"))
    if found.holder != holder:
        raise Problem(HTTPStatus.NOT_FOUND, "face.withdraw.no_receipt", "path.receipt")
    return receipt_out(found)


def routes() -> list[Route]:
    shared: dict[str, Any] = {"roles": TENANT, "kinds": PEOPLE_ONLY, "tags": ("face",)}
    return [
        Route("GET", f"{BASE}/mine", mine, summary="face.api.mine", response=FaceOut, statuses=(404, 503), **shared),
        Route(
            "POST", f"{BASE}/mine/withdraw", withdraw, summary="face.api.mine_withdraw", response=ReceiptOut,
            statuses=(404, 409, 503), destructive=True, **shared,
        ),
        Route(
            "GET", BASE + r"/mine/receipts/{receipt:\d{1,18}}", receipt, summary="face.api.mine_receipt",
            response=ReceiptOut, statuses=(503,), **shared,
        ),
    ]  # fmt: skip
