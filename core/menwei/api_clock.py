"""Taking the machine's clock for the right one although it is behind: a person's word, with a reason, audited."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from pydantic import StringConstraints

from menwei.routes import NO_TOKENS, NOT_BLANK, Call, Model, Problem, Role, Route

ACCEPTERS = frozenset({Role.COMMITTEE, Role.OPERATOR})

ReasonText = Annotated[str, StringConstraints(min_length=4, max_length=200, pattern=NOT_BLANK)]


class Accept(Model):
    """Why the machine's clock is right and what the house went by until now is not."""

    reason: ReasonText


class Accepted(Model):
    """What the house goes by now, and what it went by before, in the site's time."""

    machine: datetime
    before: datetime


async def accept(call: Call) -> Accepted:
    behind = await call.house.accept_clock()
    if not behind:
        raise Problem(HTTPStatus.CONFLICT, "web.clock_in_order")
    now = call.house.clock.now()
    # Afterwards, so that the journal's last entry has the accepted time: the next start goes by that.
    await call.house.audit(call.who, "clock.accept", {"behind": round(behind)}, {"reason": call.body.reason})
    zone = call.house.site.zone
    return Accepted(
        machine=datetime.fromtimestamp(now, zone), before=datetime.fromtimestamp(now + behind, zone)
    )


def routes() -> list[Route]:
    return [
        Route(
            "POST", "/api/clock/accept", accept, ACCEPTERS, kinds=NO_TOKENS, summary="api.clock.accept", tags=("clock",),
            body=Accept, response=Accepted, statuses=(409,), destructive=True,
        ),
    ]  # fmt: skip
