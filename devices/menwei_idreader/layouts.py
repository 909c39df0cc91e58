"""Where name and number stand in the 256 bytes of text of an identity document. Pure.

Four layouts, told apart by the character at byte 248: the resident identity card (none of the letters), J the residence
permit for people of Hong Kong, Macao and Taiwan, Y the foreigners' permanent resident card of 2023, I that of 2017.
Text is UTF-16, least byte first, padded with spaces. Only the places named here are ever decoded.

The number is checked by GB 11643 (ISO 7064 MOD 11-2 and a date) where it is one; the 2017 card's is three letters and
twelve digits. Its region is not looked up: it is where the number was given, and tables of regions lag behind.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from menwei import Document, DocumentKind
from menwei_idreader.protocol import TEXT_BYTES

_KIND_AT = 248


@dataclass(frozen=True, slots=True)
class Place:
    """Offset and length in bytes."""

    at: int
    length: int


@dataclass(frozen=True, slots=True)
class Layout:
    """`names` are tried in order; one name may stand in several places, one after the other."""

    kind: DocumentKind
    names: tuple[tuple[Place, ...], ...]
    number: Place
    form: re.Pattern[str]
    gb11643: bool = True


_CITIZEN = re.compile("[0-9]{17}[0-9X]")
RESIDENT = Layout(DocumentKind.RESIDENT_CARD, ((Place(0, 30),),), Place(122, 36), _CITIZEN)
LAYOUTS = {
    "J": Layout(DocumentKind.RESIDENCE_PERMIT, ((Place(0, 30),),), Place(122, 36), _CITIZEN),
    "Y": Layout(
        DocumentKind.FOREIGN_RESIDENT_CARD,
        ((Place(0, 30),), (Place(52, 70), Place(220, 22))),
        Place(122, 36),
        _CITIZEN,
    ),
    "I": Layout(
        DocumentKind.FOREIGN_RESIDENT_CARD,
        ((Place(158, 30),), (Place(0, 120),)),
        Place(122, 30),
        re.compile("[A-Z]{3}[0-9]{12}"),
        gb11643=False,
    ),
}


class NoDocument(ValueError):
    """The text is that of no known document, or its number is wrong. Nothing of it is in the message."""


def identify(text: bytearray) -> Document:
    """Kind, name and number. Wipes `text`. Raises `NoDocument`."""
    try:
        if len(text) != TEXT_BYTES:
            raise NoDocument(f"{len(text)} bytes of text")
        layout = LAYOUTS.get(_decode(text, Place(_KIND_AT, 2)), RESIDENT)
        number = _decode(text, layout.number).strip(" \0")
        if not layout.form.fullmatch(number) or (layout.gb11643 and not _checks(number)):
            raise NoDocument(f"the number of a {layout.kind} does not check")
        for places in layout.names:
            if name := _clean("".join(_decode(text, place) for place in places)):
                return Document(layout.kind, name, number)
        raise NoDocument(f"a {layout.kind} without a name")
    finally:
        text[:] = bytes(len(text))


def _decode(text: bytearray, place: Place) -> str:
    try:
        return text[place.at : place.at + place.length].decode("utf-16-le")
    except UnicodeDecodeError:
        raise NoDocument("text that is no UTF-16") from None


def _clean(name: str) -> str:
    """Parts are joined with their padding: a name that runs on into the next place has none."""
    name = name.replace("\0", " ")
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn") for character in name):
        raise NoDocument("a name with control characters")
    return " ".join(name.split())


def _checks(number: str) -> bool:
    from stdnum.cn import ric
    from stdnum.exceptions import ValidationError

    try:
        ric.get_birth_date(number)
    except ValidationError:
        return False
    return bool(ric.calc_check_digit(number) == number[-1])
