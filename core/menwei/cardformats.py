"""The forms in which one card can reach us, and how they convert into each other.

One card reads as a UID at a PC/SC reader, as two decimal numbers at a Wiegand controller, and has a ten-digit number
printed on it. A format's name says the byte order too, so that a conversion never guesses:

    uid            the bytes a PC/SC reader gives for FF CA 00 00 00, upper-case hex; 4, 7, 8 or 10 bytes
    uid-reversed   the same bytes, last first, as many USB readers type them
    decimal        a 4-byte UID as one big-endian number, 10 digits
    decimal-le     a 4-byte UID as one little-endian number, 10 digits, as printed on many cards sold in China
    wiegand34      "12345,45678": the upper and lower 16 bits of `decimal` (34 bits on the wire, two are parity)
    wiegand34-le   the same of `decimal-le`
    wiegand26      "123,45678": the lower 24 bits of `decimal`, as 8 and 16 bits (26 on the wire, two are parity)
    wiegand26-le   the same of `decimal-le`
    idcard         the chip serial of a Chinese resident ID card (ISO 14443-B, APDU 00 36 00 00 08), 8 bytes of hex

The 32-bit formats stand for a 4-byte UID and convert both ways. Wiegand 26 has lost 8 bits: it is derived, never
turned back. A UID of 7 bytes or more has no sure short form, because readers disagree on which bytes they keep; and a
resident ID card is never anything but itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from menwei.model import CredentialIdentifier, IdentifierType

UID, UID_REVERSED, IDCARD = "uid", "uid-reversed", "idcard"
DECIMAL, DECIMAL_LE = "decimal", "decimal-le"
WIEGAND26, WIEGAND26_LE, WIEGAND34, WIEGAND34_LE = "wiegand26", "wiegand26-le", "wiegand34", "wiegand34-le"
FORMATS = (
    UID, UID_REVERSED, DECIMAL, DECIMAL_LE, WIEGAND34, WIEGAND34_LE, WIEGAND26, WIEGAND26_LE, IDCARD,
)  # fmt: skip

UID_BYTES = (4, 7, 8, 10)
"""ISO 14443-3 type A: 4, 7 or 10; ISO 15693, FeliCa and ISO 14443-3 type B pass through readers as 8 or 4."""
IDCARD_BYTES = (8,)

LONGEST = 64
"""No form of a card is longer; what is longer is refused before anything looks into it."""

_HEX = re.compile(r"[0-9A-Fa-f]{2}(?:[ :-]?[0-9A-Fa-f]{2})*")
_DECIMAL = re.compile(r"[0-9]{1,10}")
_PAIR = re.compile(r"([0-9]{1,5}),([0-9]{1,5})")
_AS_KEPT = re.compile("[0-9A-F]{8}|[0-9A-F]{14}|[0-9A-F]{16}|[0-9A-F]{20}")
_BYTES = (UID, UID_REVERSED)
_FORMAT_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


class CardFormatError(ValueError):
    """A reader or a person gave something that is not a card number of the format they said.

    `key` and `values` are a message for people; neither they nor the text hold what was given.
    """

    def __init__(self, key: str, values: Mapping[str, str] | None = None) -> None:
        self.key = key
        self.values = dict(values or {})
        super().__init__(" ".join((key, *self.values.values())))


def normalise(format: str, value: str) -> CredentialIdentifier:
    """The one spelling of a card number, to be hashed and compared. Called for every read and every enrolment.

    Takes lower case, and spaces, colons or dashes between hex bytes. Raises `CardFormatError`.
    """
    if isinstance(value, str) and format in _BYTES and _AS_KEPT.fullmatch(value):  # nearly every read
        return CredentialIdentifier(IdentifierType.CARD, format, value)
    if not isinstance(format, str) or format not in FORMATS:
        shown = format if isinstance(format, str) and _FORMAT_NAME.fullmatch(format[:33]) else "?"
        raise CardFormatError("card.format_unknown", {"format": shown})
    family = format.partition("-")[0]
    canonical = _canonical(family, value) if isinstance(value, str) and len(value) <= LONGEST else None
    if canonical is None:
        raise CardFormatError(f"card.format_{family}")
    return CredentialIdentifier(IdentifierType.CARD, format, canonical)


def equivalents(identifier: CredentialIdentifier) -> tuple[CredentialIdentifier, ...]:
    """Every form that the same card surely has, the given one first. Enrolment stores those the site's readers use.

    Raises `CardFormatError` where the identifier is not a card's or not as `normalise` made it.
    """
    if (
        identifier.type is not IdentifierType.CARD
        or normalise(identifier.format, identifier.value) != identifier
    ):
        raise CardFormatError("card.format_unknown", {"format": "?"})
    uid = _uid(identifier)
    forms = {identifier.format: identifier.value}
    if uid is not None:
        forms |= _forms(uid)
    return tuple(CredentialIdentifier(IdentifierType.CARD, format, value) for format, value in forms.items())


def is_random(identifier: CredentialIdentifier) -> bool:
    """Whether the card makes up a new number at each touch, as phones do: not fit to be enrolled.

    ISO/IEC 14443-3, 6.5.4: a 4-byte UID whose first byte is 08 is random.
    """
    uid = _uid(identifier)
    return uid is not None and len(uid) == 4 and uid[0] == 0x08


def _canonical(family: str, value: str) -> str | None:
    match family:
        case "uid":
            return _hex(value, UID_BYTES)
        case "idcard":
            return _hex(value, IDCARD_BYTES)
        case "decimal":
            number = int(value) if _DECIMAL.fullmatch(value) else 1 << 32
            return f"{number:010d}" if number < 1 << 32 else None
        case "wiegand26":
            return _pair(value, 8)
        case _:
            return _pair(value, 16)


def _hex(value: str, lengths: tuple[int, ...]) -> str | None:
    if not _HEX.fullmatch(value):
        return None
    digits = re.sub("[ :-]", "", value).upper()
    return digits if len(digits) // 2 in lengths else None


def _pair(value: str, facility_bits: int) -> str | None:
    match = _PAIR.fullmatch(value)
    if match is None or int(match[1]) >= 1 << facility_bits or int(match[2]) >= 1 << 16:
        return None
    return _as_pair(int(match[1]) << 16 | int(match[2]), facility_bits)


def _as_pair(number: int, facility_bits: int) -> str:
    digits = len(str((1 << facility_bits) - 1))
    return f"{number >> 16:0{digits}d},{number & 0xFFFF:05d}"


def _uid(identifier: CredentialIdentifier) -> bytes | None:
    """The UID behind a form that keeps all of it."""
    value = identifier.value
    match identifier.format:
        case "uid":
            return bytes.fromhex(value)
        case "uid-reversed":
            return bytes.fromhex(value)[::-1]
        case "decimal":
            return int(value).to_bytes(4, "big")
        case "decimal-le":
            return int(value).to_bytes(4, "little")
        case "wiegand34" | "wiegand34-le":
            upper, lower = value.split(",")
            order: Literal["big", "little"] = "little" if identifier.format == WIEGAND34_LE else "big"
            return (int(upper) << 16 | int(lower)).to_bytes(4, order)
        case _:
            return None


def _forms(uid: bytes) -> dict[str, str]:
    forms = {UID: uid.hex().upper(), UID_REVERSED: uid[::-1].hex().upper()}
    if len(uid) != 4:
        return forms
    big, little = int.from_bytes(uid, "big"), int.from_bytes(uid, "little")
    return forms | {
        DECIMAL: f"{big:010d}",
        DECIMAL_LE: f"{little:010d}",
        WIEGAND34: _as_pair(big, 16),
        WIEGAND34_LE: _as_pair(little, 16),
        WIEGAND26: _as_pair(big & 0xFFFFFF, 8),
        WIEGAND26_LE: _as_pair(little & 0xFFFFFF, 8),
    }
