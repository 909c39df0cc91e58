"""A pass as a text for a QR code and as digits for a keypad: computed from its number, signed by the machine, kept
nowhere.

    MW1.yard.20260302.AAADWZ4X7K2QE.5Q2M…      version, site, local day, the pass's number, 80 bits of HMAC-SHA-256

A door opens by neither the text nor its signature: it opens because the keyed hash of exactly this text stands in the
rights, until midnight. The signature lets a reader tell a code of this site and day from any other text at once, and
without the machine's key nobody makes one.
"""

from __future__ import annotations

import hmac
import itertools
from base64 import b32decode, b32encode
from binascii import Error as Base32Error
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from menwei import CredentialIdentifier, IdentifierType

VERSION = "MW1"
QR_FORMAT = "menwei"
CODE_FORMAT = "code"
"""The format of a number typed without a card."""
DIGITS = 8
LONGEST = 200
"""Characters. A QR code of a stranger may hold 4,000; no code of ours is longer than this."""
_NUMBER_BYTES = 7
_MAC_BYTES = 10


class CodeRefused(ValueError):
    """The text is no pass of this site for this day. `says` is the message for the person who shows it."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of one site. `sign` is a keyed hash of at least 16 bytes that nobody else can compute."""

    site: str
    sign: Callable[[str], bytes]

    def qr(self, day: date, number: int) -> str:
        """The text of the QR code of pass `number`."""
        stem = ".".join((VERSION, self.site, f"{day:%Y%m%d}", _base32(number.to_bytes(_NUMBER_BYTES, "big"))))
        return f"{stem}.{self._mac(stem)}"

    def digits(self, number: int, attempt: int = 0) -> str:
        """The numeric code of pass `number`; `attempt` gives another one where this one is taken."""
        drawn = int.from_bytes(self.sign(f"code/{number}/{attempt}"), "big") % 10**DIGITS
        return f"{drawn:0{DIGITS}d}"

    def read(self, text: str, today: date) -> int:
        """The number of the pass that the text names. Raises `CodeRefused`: it is signed by another machine or none, or
        is for another site or day."""
        text = text.strip()
        parts = text.split(".") if len(text) <= LONGEST and text.isascii() else []
        if len(parts) != 5 or parts[0] != VERSION:
            raise CodeRefused("visitors.code.foreign")
        _, site, day_text, number_text, mac = parts
        if site != self.site:
            raise CodeRefused("visitors.code.other_site")
        stem = text[: -len(mac) - 1]
        if not hmac.compare_digest(self._mac(stem).encode(), mac.encode()):
            raise CodeRefused("visitors.code.forged")
        day, number = _day(day_text), _number(number_text)
        if day != today:
            raise CodeRefused("visitors.code.other_day")
        return number

    def _mac(self, stem: str) -> str:
        return _base32(self.sign(f"qr/{stem}")[:_MAC_BYTES])


def obvious(digits: str) -> bool:
    """Whether these are digits that somebody who guesses tries first: 11111111, 12121212, 12345678."""
    steps = {(int(b) - int(a)) % 10 for a, b in itertools.pairwise(digits)}
    return len(set(digits)) < 4 or len(steps) == 1


def typed(digits: str) -> CredentialIdentifier:
    """What a keypad makes of the digits."""
    return CredentialIdentifier(IdentifierType.PIN, CODE_FORMAT, digits)


def shown(text: str) -> CredentialIdentifier:
    """What a camera makes of the QR code."""
    return CredentialIdentifier(IdentifierType.QRCODE, QR_FORMAT, text)


def _base32(data: bytes) -> str:
    return b32encode(data).decode().rstrip("=")


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007  a day of the site, no instant
    except ValueError:
        raise CodeRefused("visitors.code.foreign") from None


def _number(text: str) -> int:
    try:
        return int.from_bytes(b32decode(text + "=" * (-len(text) % 8)), "big")
    except (Base32Error, ValueError):
        raise CodeRefused("visitors.code.foreign") from None
