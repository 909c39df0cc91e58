"""What can be changed about rights: absolute, idempotent facts, and the errors a change can meet.

Applying the same change twice is the same as applying it once. Personal values arrive sealed or hashed (`keys.py`,
`people.py`); `describe` is what the revision log keeps of a change, without any of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from menwei.model import AccessProfile, CredentialState, IdentifierType


class RightsError(ValueError):
    """A change that can not be made; nothing of its batch was. The text is for logs, `says` with `values` is the
    message for a person. Neither holds a name or a number of a card."""

    says: ClassVar[str] = "rights.invalid"

    def __init__(self, text: str, **values: str) -> None:
        super().__init__(text)
        self.values = values


class UnknownHolder(RightsError):
    says = "rights.unknown_holder"


class HolderEnded(RightsError):
    says = "rights.holder_ended"


class UnknownCredential(RightsError):
    says = "rights.unknown_credential"


class CredentialEnded(RightsError):
    """It was ended for good: whoever comes back is given another."""

    says = "rights.credential_ended"


class UnknownProfile(RightsError):
    says = "rights.unknown_profile"


class ProfileInUse(RightsError):
    says = "rights.profile_in_use"


class ProfileOfConfig(RightsError):
    """The config file defines a profile of that id; the store can not have another."""

    says = "rights.profile_of_config"


class InvalidValidity(RightsError):
    says = "rights.invalid_validity"


class InvalidPin(RightsError):
    says = "rights.invalid_pin"


class InvalidName(RightsError):
    says = "rights.invalid_name"


class ExternalIdTaken(RightsError):
    says = "rights.external_id_taken"


class DocumentTaken(RightsError):
    """The identity document is known as that of another holder, who has not ended; `holder` says whose."""

    says = "rights.document_taken"

    def __init__(self, holder: int) -> None:
        super().__init__(f"this identity document is that of holder {holder}", holder=str(holder))
        self.holder = holder


class NotReviewed(RightsError):
    """A plugin that must look at this change failed over it."""

    says = "rights.not_reviewed"


class IdentifierTaken(RightsError):
    """The identifier belongs to another credential that has not ended; `holder` and `credential` say whose."""

    says = "rights.identifier_taken"

    def __init__(self, format: str, holder: int, credential: int) -> None:
        super().__init__(
            f"this identifier ({format}) already belongs to credential {credential}: end that one first",
            format=format,
        )
        self.holder = holder
        self.credential = credential


@dataclass(frozen=True, slots=True)
class PutHolder:
    """A person exists, with these sealed fields (`people.py` makes them). Does not undo `EndHolder`."""

    id: int
    name_sealed: bytes
    external_id: bytes | None = None
    """`keys.blind` of it; no two holders have the same."""
    external_sealed: bytes | None = None
    phone_sealed: bytes | None = None
    note_sealed: bytes | None = None
    extended: bool = False

    def describe(self) -> dict[str, Any]:
        return {"holder": self.id, "extended": self.extended}


@dataclass(frozen=True, slots=True)
class SetDocument:
    """A person is known by this identity document: `keys.blind` of its number (`documents.py`), and its last four
    characters, sealed. Refused when it is another holder's, unless somebody looked and said that it is `shared` (a list
    in which one person stands twice)."""

    holder: int
    document: bytes
    sealed: bytes
    shared: bool = False

    def describe(self) -> dict[str, Any]:
        return {"holder": self.holder}


@dataclass(frozen=True, slots=True)
class EndHolder:
    """The person no longer has any right here: every credential becomes Ended. Their identifiers may then be put on
    somebody else's."""

    id: int

    def describe(self) -> dict[str, Any]:
        return {"holder": self.id}


@dataclass(frozen=True, slots=True)
class RemoveHolder:
    """Delete a person with everything that hangs on them: what retention does, and what a person may ask for."""

    id: int

    def describe(self) -> dict[str, Any]:
        return {"holder": self.id}


@dataclass(frozen=True, slots=True)
class PutCredential:
    """A credential exists, with this validity [from, to) and these profiles in this order. Leaves its PIN and its
    identifiers as they are."""

    id: int
    holder: int
    state: CredentialState
    valid_from: float
    valid_to: float
    profiles: tuple[str, ...]
    label: bytes | None = None
    """Sealed for the manager."""

    def describe(self) -> dict[str, Any]:
        valid_to = self.valid_to if math.isfinite(self.valid_to) else None
        return {
            "credential": self.id,
            "holder": self.holder,
            "state": str(self.state),
            "valid_from": self.valid_from,
            "valid_to": valid_to,
            "profiles": list(self.profiles),
        }


@dataclass(frozen=True, slots=True)
class SetValidity:
    """The credential holds [from, to), and is otherwise as it was."""

    credential: int
    valid_from: float
    valid_to: float

    def describe(self) -> dict[str, Any]:
        valid_to = self.valid_to if math.isfinite(self.valid_to) else None
        return {"credential": self.credential, "valid_from": self.valid_from, "valid_to": valid_to}


@dataclass(frozen=True, slots=True)
class SetProfiles:
    """The credential carries exactly these profiles, in this order, and is otherwise as it was."""

    credential: int
    profiles: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        return {"credential": self.credential, "profiles": list(self.profiles)}


@dataclass(frozen=True, slots=True)
class SetState:
    """Enabled, Disabled, Lost or Ended."""

    credential: int
    state: CredentialState

    def describe(self) -> dict[str, Any]:
        return {"credential": self.credential, "state": str(self.state)}


@dataclass(frozen=True, slots=True)
class PutIdentifier:
    """`digest` (`keys.digest`) means this credential. Taken over from a credential that has ended; otherwise taken is
    taken."""

    credential: int
    digest: bytes
    type: IdentifierType
    format: str
    number: bytes | None = field(default=None, repr=False)
    """The card's number, sealed (`boardnumbers.py`), where a board that decides alone has to be given it."""

    def describe(self) -> dict[str, Any]:
        return {"credential": self.credential, "type": str(self.type), "format": self.format}


@dataclass(frozen=True, slots=True)
class RemoveIdentifier:
    """`digest` means nobody."""

    digest: bytes

    def describe(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class SetPin:
    """The credential's PIN and duress PIN as `keys.pin` gives them; empty: none."""

    credential: int
    pin: bytes = b""
    duress: bytes = b""

    def describe(self) -> dict[str, Any]:
        return {"credential": self.credential, "pin": bool(self.pin), "duress": bool(self.duress)}


@dataclass(frozen=True, slots=True)
class PutProfile:
    """An access profile of the store has exactly these rules."""

    profile: AccessProfile

    def describe(self) -> dict[str, Any]:
        rules = [
            {"access_points": sorted(rule.access_points), "schedule": rule.schedule}
            for rule in self.profile.rules
        ]
        return {"profile": self.profile.id, "rules": rules}


@dataclass(frozen=True, slots=True)
class RemoveProfile:
    """The store has no such profile. Refused while a credential carries it."""

    profile: str

    def describe(self) -> dict[str, Any]:
        return {"profile": self.profile}


Change = (
    PutHolder
    | SetDocument
    | EndHolder
    | RemoveHolder
    | PutCredential
    | SetValidity
    | SetProfiles
    | SetState
    | PutIdentifier
    | RemoveIdentifier
    | SetPin
    | PutProfile
    | RemoveProfile
)
