"""What a guard can mend: somebody whom anti-passback holds to be elsewhere."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from menwei.routes import Call, Done, Model, Role, Route
from menwei_rules.book import RuleBook

DESK = frozenset({Role.COMMITTEE, Role.GUARD, Role.OPERATOR})


class Forgiven(Model):
    holder: Annotated[int, Field(ge=0, lt=1 << 53)]


async def forgive(call: Call) -> Done:
    """The person's next passage counts as their first."""
    body: Forgiven = call.body
    book = call.service(RuleBook)
    book.areas.forgive(body.holder)
    await book.context.facts.audit(call.who, "forgive", personal={"holder": body.holder})
    return Done()


def routes() -> list[Route]:
    return [
        Route("POST", "/api/rules/forgive", forgive, summary="rules.api.forgive", body=Forgiven, response=Done,
              roles=DESK, tags=("rules",)),
    ]  # fmt: skip
