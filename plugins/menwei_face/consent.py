"""Who may be enrolled, as pure rules: the text they were shown, their guardian's word under 14, another way in.

Sources: PIPL Art. 29 and 31 (separate consent; a guardian's for under 14), Measures on facial recognition (in force
2025-06-01): a face must not be the only way, and saying no costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from menwei import Credential, CredentialState, IdentifierType
from menwei_face.words import Answer, Consent, FaceError

TEXT_VERSION = 1
"""Of the text `face.consent.text.<version>`. A text is never changed under its number: a new one gets the next."""
GUARDIAN_UNDER = 14
OTHER_WAYS = frozenset({IdentifierType.CARD, IdentifierType.PIN, IdentifierType.QRCODE})


@dataclass(frozen=True, slots=True)
class Guardian:
    """Who agrees for somebody under 14: a person known here (`holder`), or one to be entered by `name`."""

    holder: int | None = None
    name: str = ""

    @property
    def named(self) -> bool:
        return self.holder is not None or bool(self.name.strip())


@dataclass(frozen=True, slots=True)
class Said:
    """What was answered at the desk. `given`: when, seconds since the epoch; None is now.

    One of `under_14` and `birth_year` must be answered; the year itself is kept nowhere.
    """

    agreed: bool
    version: int
    language: str
    under_14: bool | None = None
    birth_year: int | None = None
    guardian: Guardian | None = None
    guardian_agreed: bool = False
    given: float | None = None


def is_minor(under_14: bool | None, birth_year: int | None, this_year: int) -> bool:
    """Whether a guardian must agree. The year alone leaves open whether the fourteenth birthday was already: then it
    was not, unless the desk answers that it was. Raises `FaceError` when nothing was answered, or both contradict."""
    if birth_year is None:
        if under_14 is None:
            raise FaceError("face.consent.age_missing", 400, "body.under_14")
        return under_14
    age = this_year - birth_year
    if not 0 <= age <= 130:
        raise FaceError("face.consent.year", 400, "body.birth_year")
    surely, possibly = age < GUARDIAN_UNDER, age <= GUARDIAN_UNDER
    if under_14 is None:
        return possibly
    if (surely and not under_14) or (under_14 and not possibly):
        raise FaceError("face.consent.age_contradicts", 400, "body.birth_year")
    return under_14


def check(said: Said, this_year: int, now: float) -> bool:
    """Whether this is a consent that counts; returns whether it is a minor's. Raises `FaceError` with what is missing."""
    if not said.agreed:
        raise FaceError("face.consent.not_agreed", where="body.agreed")
    if said.version != TEXT_VERSION:
        raise FaceError("face.consent.old_text", where="body.version", version=str(TEXT_VERSION))
    if said.given is not None and said.given > now:
        raise FaceError("face.consent.future", 400, "body.given")
    minor = is_minor(said.under_14, said.birth_year, this_year)
    if minor and (said.guardian is None or not said.guardian.named):
        raise FaceError("face.consent.guardian_missing", where="body.guardian")
    if minor and not said.guardian_agreed:
        raise FaceError("face.consent.guardian_not_agreed", where="body.guardian_agreed")
    return minor


def check_newer(said: Said, last: Consent | None) -> None:
    """A paper that is older than a no is none: entering the same list again brings nobody back who has withdrawn since.
    Raises `FaceError`."""
    if last is None or said.given is None:
        return
    no = last.given if last.answer is Answer.REFUSED else last.withdrawn
    if no is not None and said.given <= no:
        raise FaceError("face.consent.older", where="body.given")


def require(consent: Consent | None) -> Consent:
    """The consent that enrolment rests on. Raises `FaceError` when there is none, or it was refused or withdrawn."""
    if consent is None or not consent.holds:
        raise FaceError("face.consent.missing")
    if consent.version != TEXT_VERSION:
        raise FaceError("face.consent.old_text", version=str(TEXT_VERSION))
    return consent


def works(credential: Credential, now: float) -> bool:
    """Whether this opens something now, without a face."""
    return (
        credential.state is CredentialState.ENABLED
        and credential.valid_from <= now < credential.valid_to
        and bool(credential.factors & OTHER_WAYS)
        and bool(credential.profiles)
    )


def _worth(credential: Credential) -> tuple[float, int, int]:
    """The longer, then the one that opens more. The number is random: last, so that the choice stays the same."""
    return credential.valid_to, len(credential.profiles), credential.id


def other_way(credentials: Iterable[Credential], now: float) -> Credential:
    """The credential that the face will stand beside: one that works now, the longest, of equals the one that opens more.
    Raises `FaceError` when there is none: somebody without another way in is not enrolled."""
    found = [credential for credential in credentials if works(credential, now)]
    if not found:
        raise FaceError("face.enrol.no_other_way")
    return max(found, key=_worth)


@dataclass(frozen=True, slots=True)
class Follows:
    """What the credential of a face shall be: that of the person's other ones. `state` ENABLED or DISABLED."""

    state: CredentialState
    valid_from: float
    valid_to: float
    profiles: tuple[str, ...]


_RANK = {CredentialState.ENABLED: 2, CredentialState.LOST: 1, CredentialState.DISABLED: 0}


def follow(others: Iterable[Credential]) -> Follows | None:
    """How the face follows the person's other credentials: it opens what the best of them opens, as long as that one,
    and never more. A lost card does not take the face with it; a disabled one does. None: nothing is left to follow."""
    left = [
        one for one in others if one.state is not CredentialState.ENDED and bool(one.factors & OTHER_WAYS)
    ]
    if not left:
        return None
    best = max(left, key=lambda one: (_RANK[one.state], *_worth(one)))
    disabled = best.state is CredentialState.DISABLED
    return Follows(
        CredentialState.DISABLED if disabled else CredentialState.ENABLED,
        best.valid_from,
        best.valid_to,
        best.profiles,
    )
