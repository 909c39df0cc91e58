"""`menwei explain`: would this person pass this access point at this moment, and if not, why?

It asks the decision line itself (`Line.explain`), for each of the person's credentials, as if every factor the holder
has were presented. Nothing is recorded as a passage and nothing opens; that somebody asked is audited by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from menwei.decide import Presented, level_in_force
from menwei.model import Credential, IdentifierType, Outcome, Reason, Request, Verdict

if TYPE_CHECKING:
    from menwei.house import Menwei


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict for one credential. `sentences` are what the person would be told, in the site's language."""

    credential: int
    outcome: Outcome
    reasons: tuple[Reason, ...]
    checks: tuple[dict[str, str], ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer: GRANTED when any credential would do. `at` is the moment judged by, `level` what is needed then."""

    holder: int
    access_point: str
    at: float
    outcome: Outcome
    level: str
    findings: tuple[Finding, ...]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return tuple(dict.fromkeys(reason for finding in self.findings for reason in finding.reasons))


async def explain(house: Menwei, holder: int, access_point: str, at: float) -> Explanation:
    """Raises `KeyError` for an access point the site does not have or a holder without credentials."""
    point = house.site.access_points[access_point]
    credentials = house.rights.snapshot.of_holder(holder)
    if not credentials:
        raise KeyError(holder)
    level = level_in_force(point.levels, house.schedules, at)
    findings = []
    for credential in credentials:
        request = Request(access_point, (), at, house.clock.monotonic())
        verdict = await house.line.explain(request, Presented(credential, _factors(credential, credentials)))
        findings.append(_finding(house, credential, verdict))
    outcome = Outcome.GRANTED if any(f.outcome is Outcome.GRANTED for f in findings) else Outcome.DENIED
    return Explanation(holder, access_point, at, outcome, level.name if level else "", tuple(findings))


def _factors(credential: Credential, others: tuple[Credential, ...]) -> frozenset[IdentifierType]:
    """All that the holder could present together with this credential."""
    kinds = set(credential.factors)
    for other in others:
        kinds |= other.factors - {IdentifierType.PIN}
    return frozenset(kinds)


def _finding(house: Menwei, credential: Credential, verdict: Verdict) -> Finding:
    sentences = [house.say(check.says) for check in verdict.checks] or [house.say(verdict.says)]
    checks = tuple(
        {"reason": str(c.reason), "says": c.says, "by": c.by, "detail": c.detail} for c in verdict.checks
    )
    return Finding(credential.id, verdict.outcome, verdict.reasons, checks, tuple(dict.fromkeys(sentences)))
