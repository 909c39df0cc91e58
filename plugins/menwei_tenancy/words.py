"""The nouns the plugin's functions speak with: who acts, what is asked, what is answered, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus

from menwei import Actor, Credential, CredentialIdentifier, RightsError
from menwei_tenancy.tables import LeaseState
from menwei_tenancy.terms import Role


class TenancyError(Exception):
    """It cannot be done; nothing was. `says` with `values` is the message for the person, `status` for programs."""

    def __init__(self, says: str, status: int = HTTPStatus.CONFLICT, **values: str) -> None:
        super().__init__(f"{says} {' '.join(values.values())}".strip())
        self.says = says
        self.status = status
        self.values: Mapping[str, str] = values


def not_found(what: str) -> TenancyError:
    """Also for what exists and is somebody else's: whether it exists is theirs to know."""
    return TenancyError(f"tenancy.no_{what}", HTTPStatus.NOT_FOUND)


class CollectAgain(RightsError):
    """A cohabitant's right would outlast their year, or was never collected."""

    says = "tenancy.collect_again"


class MayComeBack(RightsError):
    """The card stands on a credential that ended with a check-out which can still be undone: `time` is the minute from
    which it may be given to others."""

    says = "tenancy.may_come_back"


@dataclass(frozen=True, slots=True)
class Acting:
    """Who does something. `landlord` narrows it to that landlord's own rooms; None: the whole site."""

    actor: Actor
    landlord: int | None = None


@dataclass(frozen=True, slots=True)
class Touch:
    """A card that was just touched at a reader, or a face just captured: proof that the person is here now."""

    identifier: CredentialIdentifier
    at: float


@dataclass(frozen=True, slots=True)
class Flat:
    """A flat and all access profiles of those who live there: the site's, the building's, the unit's and its own."""

    id: int
    external_id: str
    building: str
    unit: str
    name: str
    landlord: int | None
    profiles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lease:
    household: int
    flat: int
    landlord: int | None
    first_day: date | None
    last_day: date | None
    state: LeaseState


@dataclass(frozen=True, slots=True)
class Member:
    """One person in one household. `ends` is when their right runs out (None: without end), `left` when they left."""

    id: int
    household: int
    holder: int
    role: Role
    until: date | None
    collected: float | None
    ends: float | None
    left: float | None


@dataclass(frozen=True, slots=True)
class Pass:
    """A credential a member was given."""

    credential: Credential
    member: int
    kind: str


@dataclass(frozen=True, slots=True)
class Household:
    """A household with its lease, its members and their passes. `undo` is the check-out that can still be undone."""

    id: int
    lease: Lease
    members: tuple[Member, ...]
    passes: tuple[Pass, ...]
    undo: Undo | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """A check-out, and until when it can be taken back."""

    id: int
    until: float
