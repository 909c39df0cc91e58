"""Who may be in a list twice: shown to a person, who decides. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache

from menwei_registration.checking import Entry

ALIKE = 0.85
"""Ratio of `difflib` from which two names in Latin letters count as similar."""


@dataclass(frozen=True, slots=True)
class Likely:
    """A row that may be somebody who stands in another row (`other`), or is registered here (`other` 0)."""

    key: str
    row: int
    other: int = 0


def likely(
    entries: Sequence[Entry], holders_of: Mapping[str, frozenset[int]], own: Mapping[str, int]
) -> list[Likely]:
    """Same identity number (in the file, or of a holder in `holders_of` who is not the row's `own`), and similar names
    in one flat."""
    found = []
    numbers: dict[str, int] = {}
    flats: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.number:
            if entry.number in numbers:
                found.append(Likely("registration.likely.number_row", entry.row, numbers[entry.number]))
            numbers.setdefault(entry.number, entry.row)
            if holders_of.get(entry.number, frozenset()) - {own.get(entry.resident.key)}:
                found.append(Likely("registration.likely.number_here", entry.row))
        flats.setdefault(entry.resident.flat, []).append(entry)
    sounds = _pronouncing()
    for together in flats.values():
        for place, entry in enumerate(together):
            for other in together[:place]:
                different = entry.number and other.number and entry.number != other.number
                if not different and similar(entry.resident.name, other.resident.name, sounds):
                    found.append(Likely("registration.likely.name", entry.row, other.row))
    return sorted(found, key=lambda one: one.row)


def similar(one: str, other: str, sounds: Callable[[str], str]) -> bool:
    """The same letters in any order, the same sound (张伟, 张玮), or nearly the same spelling in Latin letters. Members
    of a family who share all but one character are not similar."""
    one, other = (_letters(name) for name in (one, other))
    if sorted(one) == sorted(other) or sounds(one) == sounds(other):
        return True
    return one.isascii() and other.isascii() and SequenceMatcher(None, one, other).ratio() >= ALIKE


def _letters(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


@cache
def _pronouncing() -> Callable[[str], str]:
    """A name's sound; without pypinyin (extra `names`) the name itself."""
    try:
        from pypinyin import lazy_pinyin
    except ModuleNotFoundError:
        return lambda name: name
    return cache(lambda name: " ".join(_flat(lazy_pinyin(name))))


def _flat(syllables: Iterable[str]) -> list[str]:
    return [str(syllable) for syllable in syllables]
