"""What the bits of a card read mean. Pure.

Source: SIA OSDP 2.2, 7.10 (osdp_RAW): a format code, the number of bits, the bits from the first on, left-aligned. The
26-bit layout is SIA AC-01 (Wiegand): even parity over the first half, odd parity over the second; 34 bits are the same
with 16 + 16 bits. 32 and 56 bits are the UID of a card, as readers send it that are set to "CSN" or "UID": whole bytes
without parity (ISO/IEC 14443-3: 4 and 7 bytes).
"""

from __future__ import annotations

from typing import Final

UID_BITS: Final = (32, 56)
WIEGAND: Final = {26: 8, 34: 16}
"""Bits on the wire → bits of the first number; the second has 16, and two are parity."""


class UnreadableCard(ValueError):
    """Not a card number of a known layout. `bits` is its length; the number itself is nowhere in it."""

    def __init__(self, why: str, bits: int) -> None:
        super().__init__(f"{why} ({bits} bits)")
        self.bits = bits


def card_number(data: bytes, bits: int, *, reversed: bool = False) -> tuple[str, str]:
    """(format, value) of `menwei.cardformats`. `reversed`: this reader sends the card's last byte first.

    Raises `UnreadableCard` for other lengths, wrong parity, and numbers that are no card's (all zeros, all ones).
    """
    if bits < 1 or len(data) != (bits + 7) // 8:
        raise UnreadableCard("length and data do not fit", bits)
    if bits not in WIEGAND and bits not in UID_BITS:
        raise UnreadableCard("no card format of this length is known", bits)
    number = int.from_bytes(data, "big") >> (-bits % 8)
    if bits in UID_BITS:
        _refuse_blank(number, bits, bits)
        return ("uid-reversed" if reversed else "uid"), f"{number:0{bits // 4}X}"
    half = bits // 2
    first, second = number >> half, number & ((1 << half) - 1)
    if first.bit_count() % 2 != 0 or second.bit_count() % 2 != 1:
        raise UnreadableCard("the parity is wrong", bits)
    card = (number >> 1) & ((1 << (bits - 2)) - 1)
    _refuse_blank(card, bits - 2, bits)
    return f"wiegand{bits}{'-le' if reversed else ''}", f"{card >> 16},{card & 0xFFFF}"


def _refuse_blank(number: int, width: int, bits: int) -> None:
    """A broken antenna or wire reads as one of these, and every such "card" would be the same."""
    if number in (0, (1 << width) - 1):
        raise UnreadableCard("blank", bits)
