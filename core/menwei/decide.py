"""Steps 1 to 3 of the line, as pure functions: who is it, is it proven enough, do the rules allow it.

Nothing here reads a clock, waits, or remembers. `explain`, the tests and the real door call the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from menwei.model import (
    SHUT_MODES,
    AccessPoint,
    Check,
    Credential,
    CredentialIdentifier,
    CredentialState,
    DoorMode,
    IdentifierType,
    LevelInForce,
    Outcome,
    Reason,
    SecurityLevel,
    Verdict,
)

PIN_FORMAT = "code"
"""Format of a typed number. Behind a card it is that credential's PIN; alone it is a code of its own (visitors)."""


class View(Protocol):
    """What deciding reads: the in-memory rights (`snapshot.py`)."""

    def find(self, digest: bytes) -> Credential | None: ...
    def of_holder(self, holder: int) -> Sequence[Credential]: ...
    def rules_for(self, profile: str, access_point: str) -> Sequence[str]: ...


class Hashes(Protocol):
    """Keyed hashes of identifiers (`keys.py`)."""

    def digest(self, identifier: CredentialIdentifier) -> bytes: ...
    def pin(self, credential: int, digits: str) -> bytes: ...


class Times(Protocol):
    """Compiled schedules (`schedules.py`)."""

    def allows(self, schedule: str, at: float) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Presented:
    """What is known of the person so far: one credential, and what was proven for it."""

    credential: Credential | None = None
    factors: frozenset[IdentifierType] = frozenset()
    checks: tuple[Check, ...] = ()
    duress: bool = False


NOBODY = Presented()


def resolve(
    view: View, hashes: Hashes, shown: Sequence[CredentialIdentifier], before: Presented = NOBODY
) -> Presented:
    """Step 1. Whose are these, together with what was shown `before`? A typed number proves the credential before it;
    without one it stands for itself. Two things of two holders are nobody's."""
    credential, factors, duress = before.credential, before.factors, before.duress
    checks: list[Check] = list(before.checks)
    for identifier in shown:
        if (
            identifier.type is IdentifierType.PIN
            and credential is not None
            and IdentifierType.PIN not in factors
        ):
            digest = hashes.pin(credential.id, identifier.value)
            if credential.pin and digest == credential.pin:
                factors |= {IdentifierType.PIN}
            elif credential.duress and digest == credential.duress:
                factors |= {IdentifierType.PIN}
                duress = True
            else:
                checks.append(Check(Reason.INVALID_PIN, "door.wrong_pin"))
            continue
        found = view.find(hashes.digest(identifier))
        if found is None:
            checks.append(
                Check(Reason.CREDENTIAL_NOT_FOUND, "door.not_registered", detail=str(identifier.type))
            )
        elif credential is not None and found.holder != credential.holder:
            checks.append(Check(Reason.UNAUTHORIZED, "door.two_people", detail=str(identifier.type)))
        else:
            factors |= {identifier.type}
            if credential is not None and credential.id != found.id:
                checks.extend(standing(found, None))
            credential = credential or found
    return Presented(credential, factors, tuple(checks), duress)


def level_in_force(levels: Sequence[LevelInForce], times: Times, at: float) -> SecurityLevel | None:
    """The first level whose schedule holds; None when none does, and then nobody passes."""
    for level in levels:
        if level.schedule is None or times.allows(level.schedule, at):
            return level.level
    return None


def standing(credential: Credential, at: float | None) -> list[Check]:
    """Is this credential good, and now? Without `at`, only its state."""
    checks = []
    if credential.state is not CredentialState.ENABLED:
        checks.append(
            Check(
                Reason.CREDENTIAL_NOT_ENABLED,
                f"door.{credential.state.lower()}",
                detail=str(credential.state),
            )
        )
    if at is not None and at < credential.valid_from:
        checks.append(Check(Reason.CREDENTIAL_NOT_ACTIVE, "door.not_yet"))
    if at is not None and at >= credential.valid_to:
        checks.append(Check(Reason.CREDENTIAL_EXPIRED, "door.expired"))
    return checks


def rules(
    view: View, times: Times, credential: Credential, access_point: str, mode: DoorMode, at: float
) -> list[Check]:
    """Step 3. Every reason why this credential may not pass here at `at`; empty when it may."""
    checks = standing(credential, at)
    schedules: list[str] = []
    for profile in credential.profiles:
        schedules += view.rules_for(profile, access_point)
    if not schedules:
        checks.append(Check(Reason.UNAUTHORIZED, "door.no_right"))
    else:
        holds = [times.allows(schedule, at) for schedule in schedules]
        if True not in holds:
            detail = (
                "the schedule is not compiled that far"
                if None in holds
                else ", ".join(dict.fromkeys(schedules))
            )
            checks.append(Check(Reason.NOT_PERMITTED_AT_THIS_TIME, "door.not_now", detail=detail))
    if mode in SHUT_MODES:
        checks.append(Check(Reason.OTHER, "door.shut", detail=str(mode)))
    return checks


def decide(
    view: View, times: Times, presented: Presented, point: AccessPoint, mode: DoorMode, at: float
) -> Verdict:
    """Steps 2 and 3 for what `resolve` found. GRANTED still has to pass the policies."""
    credential, factors = presented.credential, presented.factors
    checks = list(presented.checks)
    if credential is None:
        if not checks:
            checks.append(Check(Reason.CREDENTIAL_NOT_FOUND, "door.not_registered"))
        return Verdict(Outcome.DENIED, checks=tuple(checks), factors=factors)
    level = level_in_force(point.levels, times, at)
    if level is None:
        checks.append(
            Check(Reason.NOT_PERMITTED_AT_THIS_TIME, "door.not_now", detail="no security level is in force")
        )
    checks += rules(view, times, credential, point.id, mode, at)
    missing: frozenset[IdentifierType] = frozenset()
    if level is not None and not level.met_by(factors):
        missing = level.missing_from(factors)
        if not missing:
            checks.append(Check(Reason.UNAUTHORIZED, "door.not_here", detail=f"{level.name} is needed"))
        elif lacking := missing - _has(view, credential):
            kinds = " and ".join(sorted(lacking))
            checks.append(
                Check(
                    Reason.UNAUTHORIZED, "door.factor_missing", detail=f"{level.name}: no {kinds} registered"
                )
            )
    if checks:
        return Verdict(Outcome.DENIED, credential, tuple(checks), factors=factors)
    if missing:
        return Verdict(Outcome.PENDING, credential, missing=missing, factors=factors)
    return Verdict(Outcome.GRANTED, credential, factors=factors, duress=presented.duress)


def _has(view: View, credential: Credential) -> frozenset[IdentifierType]:
    """Every factor the credential's holder could still present."""
    kinds = set(credential.factors)
    for other in view.of_holder(credential.holder):
        kinds |= other.factors - {IdentifierType.PIN}  # a PIN belongs to one credential
    return frozenset(kinds)
