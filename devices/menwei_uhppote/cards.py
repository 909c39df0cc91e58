"""What the board's card numbers are, in the words of `menwei.cardformats`. Pure.

The board gives one number of 32 bits and not how it came by it. For a Wiegand-26 reader it is the decimal digits of
the facility code followed by five of the card number: 100,58400 comes as 10058400 (uhppoted project, which builds its
card numbers so). Boards whose firmware takes Wiegand 34 give the 32 bits as they are. The byte order is the reader's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

REMOTE_OPEN_CARD: Final = 3922570474
"""What stands in the card field of a remote opening: nobody's card (uhppoted project, simulator)."""
NUMBERS: Final = 100_000


class CardFormat(StrEnum):
    """`cards` in the config; the names are those of `menwei.cardformats`."""

    WIEGAND26 = "wiegand26"
    WIEGAND26_LE = "wiegand26-le"
    DECIMAL = "decimal"
    DECIMAL_LE = "decimal-le"


def card_value(number: int, format: CardFormat) -> str | None:
    """The value to report for the board's `number`; None for one that no such reader can have read."""
    if format in (CardFormat.DECIMAL, CardFormat.DECIMAL_LE):
        return f"{number:010d}" if 0 < number < 1 << 32 else None
    facility, card = divmod(number, NUMBERS)
    if number <= 0 or facility > 0xFF or card > 0xFFFF:
        return None
    return f"{facility:03d},{card:05d}"


def number_of(value: str, format: CardFormat) -> int:
    """The board's number for a value of `card_value`, or for the plain number of a card that no such reader gives."""
    return board_number(value, format) if "," in value else int(value)


def board_number(value: str, format: CardFormat) -> int:
    """The board's number for a value that `card_value` gave."""
    if format in (CardFormat.DECIMAL, CardFormat.DECIMAL_LE):
        return int(value)
    facility, card = value.split(",")
    return int(facility) * NUMBERS + int(card)
