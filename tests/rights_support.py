"""A real store with rights in a folder, and short ways to make changes."""

from contextlib import asynccontextmanager

from menwei.keys import Keys
from menwei.model import (
    FOREVER,
    AccessProfile,
    AccessRule,
    Actor,
    CredentialIdentifier,
    CredentialState,
    IdentifierType,
)
from menwei.rights import PutCredential, PutHolder, PutIdentifier, PutProfile, Rights
from menwei.store import Store

KEYS = Keys(bytes(range(32)))
DESK = Actor("周", "registrar")
CARD = IdentifierType.CARD


class Opened:
    """`store`, `rights`, and `apply` in a transaction of its own."""

    def __init__(self, store, rights):
        self.store = store
        self.rights = rights

    @property
    def snapshot(self):
        return self.rights.snapshot

    async def apply(self, *changes, actor=DESK):
        async with self.store.transaction() as tx:
            return await self.rights.apply(tx, changes, actor=actor)

    async def fresh(self):
        """What a restart would load."""
        rights = Rights(self.store, KEYS)
        await rights.load()
        rights.snapshot.set_config_profiles(
            [self.snapshot.profile(name) for name in self.snapshot.config_profiles]
        )
        return rights.snapshot


@asynccontextmanager
async def opened(folder, now=lambda: 1000.0):
    async with await Store.open(folder / "store.db") as store:
        rights = Rights(store, KEYS, now=now)
        await rights.load()
        yield Opened(store, rights)


def card(value, format="uid"):
    return CredentialIdentifier(CARD, format, value)


def profile(name, *rules):
    return AccessProfile(name, tuple(AccessRule(frozenset(points), schedule) for points, schedule in rules))


RESIDENTS = profile("residents", ({"gate", "unit"}, "always"))


def holder(number, **more):
    return PutHolder(number, b"sealed name of %d" % number, **more)


def credential(number, owner, **changes):
    facts = {"state": CredentialState.ENABLED, "valid_from": 0.0, "valid_to": FOREVER, "profiles": ()}
    return PutCredential(number, owner, **(facts | changes))


def identifier(number, value, format="uid"):
    return PutIdentifier(number, KEYS.digest(card(value, format)), CARD, format)


def person(number, value, *profiles):
    """Holder `number` with credential `number` + 100 and one card."""
    put = credential(number + 100, number, profiles=profiles)
    return holder(number), put, identifier(number + 100, value)


__all__ = ["PutProfile"]
