"""Columns that say whose data they hold, for the core's tables and every plugin's (`register_schema`).

`check_declared` refuses a table with a column that does not say it; `column` makes one that does. With SQLAlchemy alone
it is `Column(…, info={"personal": …, "retention": …})`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Column, Integer

from menwei.randomness import Randomness

ID = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on every engine; on SQLite the row's own number, which needs no second index."""

_BITS = 53


def column(name: str, kind: Any, *rest: Any, keeps: str, personal: bool = False, **more: Any) -> Column[Any]:
    """A column, not null unless it says so. `keeps`: how long it stays, a word of `schema.Retention` or the plugin's
    own; `personal`: whether it says something of a person. What else there is, is SQLAlchemy's `Column`."""
    more.setdefault("nullable", False)
    return Column(name, kind, *rest, info={"personal": personal, "retention": str(keeps)}, **more)


def new_id() -> int:
    """A number for a row that comes out of the house (a person, a credential, a pass): random, so that it says nothing of
    its neighbours and nobody guesses the next; at least 1, and exact in JavaScript."""
    while True:
        # Read ahead: a thread that asks the system for every number gives up the interpreter lock so often, and takes it
        # back so soon, that the event loop never gets it. Sealing a hundred people held every door for 50 ms.
        number = int.from_bytes(_random().take(7)) >> (56 - _BITS)
        if number:
            return number


@cache
def _random() -> Randomness:
    return Randomness()
