"""Numbers of rows, and columns that say whose data they hold."""

import os

from sqlalchemy import MetaData, String, Table

from menwei.columns import ID, column, new_id
from menwei.schema import check_declared


def test_ids_are_random_and_exact_in_javascript():
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(0 < number < 2**53 for number in ids)
    assert max(ids) > 2**52, "of a thousand numbers of 53 bits, half have the highest"


def test_a_thousand_ids_ask_the_system_for_randomness_a_few_times(monkeypatch):
    asked = []
    urandom = os.urandom

    def counted(size):
        asked.append(size)
        return urandom(size)

    monkeypatch.setattr(os, "urandom", counted)
    for _ in range(1000):
        new_id()
    assert len(asked) <= 2


def test_a_table_of_such_columns_says_what_it_must():
    metadata = MetaData()
    table = Table(
        "own",
        metadata,
        column("id", ID, keeps="site", primary_key=True),
        column("name", String(10), keeps="holder", personal=True, nullable=True),
        info={"subject": "holder"},
    )
    check_declared(metadata)
    assert [(one.nullable, one.info) for one in table.columns] == [
        (False, {"personal": False, "retention": "site"}),
        (True, {"personal": True, "retention": "holder"}),
    ]
