"""An office with accounts of low cost and a clock of its own."""

import pytest
from sqlalchemy import select

from menwei.accounts import (
    Accounts,
)
from menwei.keys import WrapCost
from rights_support import KEYS, opened

CHEAP = WrapCost(time=1, memory=8, lanes=1)
PASSWORD = "correct horse battery"
HERE, THERE = "10.0.0.1", "10.0.0.2"
HOUR = 3600.0


class Time:
    """One clock for both kinds of time; tests turn it."""

    at = 1_000_000.0

    def __call__(self):
        return self.at


class Office:
    def __init__(self, store, time):
        self.store = store
        self.time = time
        self.restart()

    def restart(self, cost=CHEAP):
        self.accounts = Accounts(self.store, KEYS, now=self.time, monotonic=self.time, cost=cost)

    async def admin(self):
        return await self.accounts.login("admin", self.password, HERE)


@pytest.fixture
async def office(tmp_path):
    async with opened(tmp_path) as house:
        made = Office(house.store, Time())
        made.password = await made.accounts.create_first()
        yield made


async def rows(office, table):
    async with office.store.read() as connection:
        return (await connection.execute(select(table))).all()
