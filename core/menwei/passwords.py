"""What a password is: how long at least, the same from every keyboard, slow to check, and one to begin with."""

from __future__ import annotations

import base64
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from menwei.account_facts import PasswordTooShort
from menwei.keys import WrapCost

PASSWORD_LENGTH = 10
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
"""No characters that look alike: the first password is read from a screen and typed."""


def first_password() -> str:
    """A random one, for the first account."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def require_length(password: str) -> None:
    """Raises `PasswordTooShort`."""
    if len(password) < PASSWORD_LENGTH:
        raise PasswordTooShort(f"a password has at least {PASSWORD_LENGTH} characters")


def normalised(password: str) -> str:
    """The same password from every keyboard (NIST SP 800-63B 5.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def verified(hasher: PasswordHasher, hashed: str, password: str) -> bool:
    """Whether `hashed` is of this password, which is `normalised`."""
    try:
        return hasher.verify(hashed, password)
    except VerifyMismatchError:
        return False


def hash_of_nothing(cost: WrapCost) -> str:
    """A hash no password has, as slow to check as a real one; made up, because hashing would delay every start."""
    salt, hashed = (base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (16, 32))
    return f"$argon2id$v=19$m={cost.memory},t={cost.time},p={cost.lanes}${salt}${hashed}"
