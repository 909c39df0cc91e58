"""What there is to say of an account and a session, and what can go wrong with them; `accounts.py` keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from menwei.keys import ManagerPrivate
from menwei.model import Actor

IDLE = 12 * 3600.0
ABSOLUTE = 7 * 86400.0
"""Seconds a session lives without being used, and altogether."""


class Role(StrEnum):
    """What an account may be. The operator at the machine (Unix socket) is never an account."""

    COMMITTEE = "committee"
    GUARD = "guard"
    REGISTRAR = "registrar"
    LANDLORD = "landlord"
    TENANT = "tenant"
    INSTALLER = "installer"
    AUDITOR = "auditor"


class AccountError(Exception):
    """An account can not be changed like this. `says` is the message for the person."""

    says: ClassVar[str]


class LoginRefused(AccountError):
    """Name or password is wrong, or the account is disabled; which of them is not said."""

    says = "web.login_refused"


class PasswordTooShort(AccountError):
    says = "account.password_too_short"


class AccountExists(AccountError):
    says = "account.exists"


class UnknownAccount(AccountError):
    says = "web.no_account"


class KeyLocked(AccountError):
    """A committee account gets the manager's key from somebody who has it unlocked; this session has not."""

    says = "web.locked"


class LastCommittee(AccountError):
    """Without this account nobody could read a name any more."""

    says = "account.last_committee"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in. `manager`: holds the manager's key under the own password."""

    id: int
    name: str
    role: Role
    disabled: bool
    manager: bool
    created: float

    @property
    def actor(self) -> Actor:
        return Actor(self.name, str(self.role))


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in account. `token` goes into the cookie and nowhere else; `csrf` into forms; `unlocked` opens names."""

    token: str
    csrf: str
    account: Account
    created: float
    expires: float
    unlocked: ManagerPrivate | None = None

    def __repr__(self) -> str:
        return f"Session({self.account.id}, …)"


@dataclass(frozen=True, slots=True)
class Held:
    """What is in memory of a session."""

    account: Account
    created: float
    seen: float
    written: float
    unlocked: ManagerPrivate | None = None

    @property
    def expires(self) -> float:
        return min(self.seen + IDLE, self.created + ABSOLUTE)
