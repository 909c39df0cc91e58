"""Would this person pass, there and then, and if not, why?

The question is a look at a person: recorded before the answer goes out, limited for each caller like reads of their
passages.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from pydantic import Field, StringConstraints

from menwei.api_journal import QUERIES, QUERIES_IN
from menwei.callers import Limit
from menwei.model import Outcome, Reason
from menwei.routes import WHOLE, Call, Kind, Model, Problem, Role, Route

ASKERS = frozenset({Role.COMMITTEE, Role.REGISTRAR, Role.OPERATOR})


class Question(Model):
    """`at`: an instant, or without a zone the site's local time; now when left out."""

    holder: Annotated[int, Field(ge=1, lt=1 << 53), WHOLE]
    access_point: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    at: datetime | None = None


class CheckOut(Model):
    """One failed check; `by` is who refused."""

    reason: Reason
    by: str
    detail: str
    text: str


class FindingOut(Model):
    """What would become of one credential. `text` is the sentence the person would be shown."""

    credential: int
    outcome: Outcome
    reasons: tuple[Reason, ...]
    checks: tuple[CheckOut, ...]
    text: str


class ExplanationOut(Model):
    """GRANTED when any credential would do; `level` is what has to be presented then."""

    outcome: Outcome
    at: datetime
    level: str
    reasons: tuple[Reason, ...]
    findings: tuple[FindingOut, ...]


class Explanations:
    """The answers; rate-limited for each caller, but for whoever sits at the machine: wiring a site up is asking this for
    every door."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._limit = Limit(QUERIES, QUERIES_IN, monotonic)

    async def __call__(self, call: Call) -> ExplanationOut:
        if call.who.kind != Kind.OPERATOR:
            self._limit.take(call.identity)
        return await _explained(call)


async def _explained(call: Call) -> ExplanationOut:
    house, asked = call.house, call.body
    at = None
    if asked.at is not None:
        at = (asked.at if asked.at.tzinfo else asked.at.replace(tzinfo=house.site.zone)).timestamp()
    if asked.access_point not in house.site.access_points:
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_access_point", "body.access_point")
    try:
        found = await house.explain(asked.holder, asked.access_point, at)
    except KeyError:
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_credentials", "body.holder") from None
    await house.audit(call.who, "explain", {"access_point": asked.access_point}, {"holder": asked.holder})
    return ExplanationOut(
        outcome=found.outcome,
        at=datetime.fromtimestamp(found.at, house.site.zone),
        level=found.level,
        reasons=found.reasons,
        findings=tuple(
            FindingOut(
                credential=finding.credential,
                outcome=finding.outcome,
                reasons=finding.reasons,
                checks=tuple(
                    CheckOut(
                        reason=Reason(check["reason"]),
                        by=check["by"],
                        detail=check["detail"],
                        text=_says(call, check["says"]),
                    )
                    for check in finding.checks
                ),
                text=_says(call, finding.checks[0]["says"])
                if finding.checks
                else " ".join(finding.sentences),
            )
            for finding in found.findings
        ),
    )


def _says(call: Call, key: str) -> str:
    return call.house.messages.says(call.language, key)


def routes(monotonic: Callable[[], float]) -> list[Route]:
    return [
        Route(
            "POST", "/api/explain", Explanations(monotonic), ASKERS, summary="api.explain", tags=("people",), body=Question,
            response=ExplanationOut, statuses=(404, 429),
        )
    ]  # fmt: skip
