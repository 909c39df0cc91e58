"""What the core's tables and every plugin's (`register_schema`) are made of and read with: columns that say whose data
they hold, numbers for rows, and the rows that have one of many values.

`check_declared` refuses a table with a column that does not say it; `column` makes one that does. With SQLAlchemy alone
it is `Column(…, info={"personal": …, "retention": …})`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Protocol

from sqlalchemy import BigInteger, Column, ColumnElement, Integer, Row, Select, bindparam

from menwei.randomness import Randomness

ID = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on every engine; on SQLite the row's own number, which needs no second index."""

_BITS = 53
_CHUNK = 500
"""Values in one IN (…); SQLite before 3.32 allows 999."""


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


class Executes(Protocol):
    """A connection or a transaction, the core's or a plugin's."""

    async def execute(self, statement: Any, parameters: Any = None, /) -> Any: ...


def chunks(values: Sequence[Any]) -> list[Sequence[Any]]:
    """Pieces short enough for one IN (…)."""
    return [values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK)]


async def among(
    reading: Executes, query: Select[Any], column: ColumnElement[Any], values: Iterable[Any]
) -> list[Row[Any]]:
    """The rows of a query in which the column has one of these values, however many they are. In no order: what the
    query orders by holds within a piece of them."""
    found: list[Row[Any]] = []
    # One parameter for all values: thousands of them one by one cost more than reading the rows.
    chosen = query.where(column.in_(bindparam("values", expanding=True)))
    for some in chunks(list(dict.fromkeys(values))):
        found.extend((await reading.execute(chosen, {"values": some})).all())
    return found


@cache
def _random() -> Randomness:
    return Randomness()
