"""Many people in one step: the same rows as one by one, and all or nobody."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from menwei import (
    CredentialIdentifier,
    IdentifierTaken,
    IdentifierType,
    InvalidName,
    NewCredential,
    NewPerson,
)
from menwei.model import FOREVER
from menwei.schema import holders, revisions
from small_house import SmallHouse, house  # noqa: F401


def card(value: str) -> CredentialIdentifier:
    return CredentialIdentifier(IdentifierType.CARD, "uid", value)


def newcomer(name: str, *values: str) -> NewPerson:
    given = tuple(NewCredential((card(value),), ("residents",), 0.0) for value in values)
    return NewPerson(name, external_id=f"list-{name}", phone="13800000000", credentials=given)


async def count(house: SmallHouse, table) -> int:  # noqa: F811
    async with house.rights.store.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def test_people_entered_together_are_as_people_entered_one_by_one(house: SmallHouse):  # noqa: F811
    unlocked = (await house.accounts.login("admin", house.first_password, "127.0.0.1")).unlocked
    entered = await house.people.add_many(
        [newcomer("林晓", "A1A1A1A1", "B2B2B2B2"), newcomer("王强")], actor=house.ACTOR
    )
    alone = await house.people.add(
        "李娜", cards=[card("C3C3C3C3")], profiles=["residents"], valid_from=0.0, external_id="list-李娜",
        phone="13800000000", actor=house.ACTOR,
    )  # fmt: skip
    lin, wang = [await house.people.get(one.holder, unlocked) for one in entered]
    li = await house.people.get(alone, unlocked)
    assert lin and wang and li
    assert (lin.name, wang.name) == ("林晓", "王强")
    assert (lin.phone, lin.external_id) == (li.phone, "list-林晓")
    assert [c.id for c in lin.credentials] and {c.id for c in lin.credentials} == set(entered[0].credentials)
    assert (wang.credentials, entered[1].credentials) == ((), ())
    one, other = lin.credentials[0], li.credentials[0]
    assert (one.profiles, one.factors, one.valid_to) == (other.profiles, other.factors, FOREVER)
    assert await house.people.by_external_id("list-林晓") == entered[0].holder
    assert await count(house, revisions) == 2


@pytest.mark.parametrize("second", [newcomer("王强", "A1A1A1A1"), newcomer("  ")])
async def test_one_who_cannot_be_entered_keeps_all_out(house: SmallHouse, second: NewPerson):  # noqa: F811
    with pytest.raises((IdentifierTaken, InvalidName)):
        await house.people.add_many([newcomer("林晓", "A1A1A1A1"), second], actor=house.ACTOR)
    assert await count(house, holders) == 0


async def test_a_newcomer_in_a_traceback_is_nobody():
    assert "林晓" not in repr(newcomer("林晓"))
