"""Which words a person is found by: pieces of the name, of its pinyin, and of the telephone number.

The pieces are only ever stored as hashes keyed with the manager's key (`ManagerPrivate.blind`). A Chinese name is found
by any of its characters, any two neighbours, by 拼音 in full, by a syllable, or by initials (zs); other names by whole
words. pypinyin is optional; `tokeniser()` says which kind of index can be written here.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.util import find_spec
from itertools import pairwise, product

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PIECE = re.compile(f"([{_HAN}]+)|((?:(?![{_HAN}])[^\\W_])+)")
_PADDING = re.compile(f"(?<=[{_HAN}]) (?=[{_HAN}])")
_PHONE = re.compile(r"[+\d][\d ()-]{3,}")
_LAST_DIGITS = 4
_READINGS = 4
"""How many readings of a name are kept where characters have several (单: dan, shan)."""


@cache
def tokeniser() -> int:
    """1: without pinyin, 2: with it. A person indexed by a lower one is indexed again."""
    return 2 if find_spec("pypinyin") is not None else 1


def clean(text: str) -> str:
    """A name as it is kept: composed, without control characters and what has no width, single spaces, none outside and
    none between two Chinese characters: lists pad names with them (张　三) so that they stand in line."""
    kinds = ((character, unicodedata.category(character)) for character in text)
    kept = (" " if kind[0] == "C" else character for character, kind in kinds if kind != "Cf")
    spaced = " ".join(unicodedata.normalize("NFC", "".join(kept)).split())
    return _PADDING.sub("", spaced)


def half_width(text: str) -> str:
    """A number or a room as it is kept and looked for, whichever width an input method gave it: １２－５０１ is 12-501."""
    return unicodedata.normalize("NFKC", text).strip()


def words_of(name: str, phone: str = "") -> frozenset[str]:
    """Everything this person can be found by."""
    words: set[str] = set()
    for han, word in _PIECE.findall(_fold(name)):
        if han:
            words.update(han, (one + other for one, other in pairwise(han)), _pinyin(han))
            words.add(han)
        else:
            words.add(word)
    digits = _digits(phone)
    if digits:
        words.update((digits, digits[-_LAST_DIGITS:]))
    return frozenset(words)


def words_wanted(text: str) -> frozenset[str]:
    """The words all of which a person must have to match what was typed; empty when nothing was."""
    if _PHONE.fullmatch(text.strip()):
        return frozenset((_digits(text),))
    words: set[str] = set()
    for han, word in _PIECE.findall(_fold(text)):
        if han:
            words.update((one + other for one, other in pairwise(han)) if len(han) > 1 else han)
        else:
            words.add(word)
    return frozenset(words)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _digits(phone: str) -> str:
    digits = "".join(
        character for character in unicodedata.normalize("NFKC", phone) if character in "0123456789"
    )
    international = phone.strip().startswith("+86") or digits.startswith("0086")
    return digits.removeprefix("00").removeprefix("86") if international else digits


def _pinyin(han: str) -> set[str]:
    if tokeniser() < 2:
        return set()
    from pypinyin import Style, pinyin

    readings = pinyin(han, style=Style.NORMAL, heteronym=True, v_to_u=False)
    usual = tuple(syllables[0] for syllables in pinyin(han, style=Style.NORMAL))
    words: set[str] = set(usual)
    combinations = [usual, *product(readings[0], *([syllable] for syllable in usual[1:]))][: _READINGS + 1]
    for syllables in combinations:
        words.add(syllables[0])
        words.add("".join(syllables))
        words.add("".join(syllable[0] for syllable in syllables))
    return words
