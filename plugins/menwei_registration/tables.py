"""The plugin's own table: by which identity number somebody is known, as a keyed hash with the last four characters."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table

ID = BigInteger().with_variant(Integer, "sqlite")


def _column(name: str, kind: Any, *, personal: bool, **more: Any) -> Column[Any]:
    more.setdefault("nullable", False)
    return Column(name, kind, info={"personal": personal, "retention": "holder"}, **more)


metadata = MetaData(info={"head": "0001"})

numbers = Table(
    "registration_numbers",
    metadata,
    _column("holder", ID, personal=False, primary_key=True, autoincrement=False),
    _column("number", LargeBinary(16), personal=True),
    _column("last_four", String(4), personal=True),
    Index("registration_numbers_number", "number"),
    info={"subject": "holder"},
)
"""`last_four` is what a desk compares with the card in its hand; nothing else is derived from a number."""

TABLES = tuple(metadata.tables)
