"""Tokens with which programs call the API: a role, perhaps less than that (`scope`), perhaps until a day. A token never
unlocks names."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from menwei import schema
from menwei.account_facts import UnknownAccount
from menwei.columns import new_id
from menwei.keys import Keys
from menwei.model import Actor
from menwei.store import Store, Transaction

ACCOUNTS, TOKENS = schema.accounts, schema.tokens
PREFIX = "mw_"
"""So that a scanner finds a token that got into a repository."""


@dataclass(frozen=True, slots=True)
class Token:
    """A program that may call. `scope` names what of its role's rights it has; empty: all of them. `expires` None:
    until revoked. `made_by` is the account it goes with; None: made by the machine's operator, or before that was noted."""

    id: int
    name: str
    role: str
    scope: frozenset[str]
    created: float
    expires: float | None
    made_by: int | None = None

    @property
    def actor(self) -> Actor:
        return Actor(self.name, self.role, "token")


class Tokens:
    """All tokens of one store; of each only a hash is kept."""

    def __init__(self, store: Store, keys: Keys, now: Callable[[], float]) -> None:
        self._store = store
        self._keys = keys
        self._now = now

    async def create(
        self,
        name: str,
        role: str,
        *,
        scope: Iterable[str] = (),
        expires: float | None = None,
        made_by: int | None = None,
    ) -> tuple[Token, str]:
        """A new token, and its secret, which is shown this once. The caller has checked that `role` is one. Raises
        `UnknownAccount` when the account `made_by` has been disabled or removed."""
        secret = PREFIX + secrets.token_urlsafe(32)
        allowed = frozenset(scope)
        number, created = new_id(), self._now()
        row = {
            "id": number,
            "digest": _digest(secret),
            "name_sealed": self._keys.seal(name.encode(), _context(number)),
            "role": str(role),
            "scope": sorted(allowed),
            "created": created,
            "expires": expires,
            "made_by": made_by,
        }
        async with self._store.transaction() as tx:
            if made_by is not None:
                await _require_maker(tx, made_by)
            await tx.execute(insert(TOKENS), [row])
        return Token(number, name, str(role), allowed, created, expires, made_by), secret

    async def find(self, secret: str) -> Token | None:
        """Whose secret this is; None when it is nobody's or has expired."""
        if not secret.startswith(PREFIX):
            return None
        query = select(TOKENS).where(TOKENS.c.digest == _digest(secret))
        async with self._store.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None or (row.expires is not None and self._now() >= row.expires):
            return None
        return self._fact(row)

    async def all(self) -> list[Token]:
        """Every token, expired ones included, the oldest first."""
        async with self._store.read() as connection:
            rows = (await connection.execute(select(TOKENS).order_by(TOKENS.c.created, TOKENS.c.id))).all()
        return [self._fact(row) for row in rows]

    async def revoke(self, token: int) -> bool:
        """Make a token worthless, at once. False when there was none."""
        async with self._store.transaction() as tx:
            return (await tx.execute(delete(TOKENS).where(TOKENS.c.id == token))).rowcount > 0

    async def revoke_made_by(self, tx: Transaction, account: int) -> list[Token]:
        """Make worthless what this account has made; returns those tokens."""
        theirs = TOKENS.c.made_by == account
        rows = (await tx.execute(select(TOKENS).where(theirs).order_by(TOKENS.c.created, TOKENS.c.id))).all()
        await tx.execute(delete(TOKENS).where(theirs))
        return [self._fact(row) for row in rows]

    async def forget_expired(self) -> None:
        async with self._store.transaction() as tx:
            await tx.execute(delete(TOKENS).where(TOKENS.c.expires <= self._now()))

    def _fact(self, row: Any) -> Token:
        name = self._keys.unseal(row.name_sealed, _context(row.id)).decode()
        return Token(row.id, name, row.role, frozenset(row.scope), row.created, row.expires, row.made_by)


async def _require_maker(tx: Transaction, account: int) -> None:
    """Since they were let in: a token made while its account is disabled would outlive it."""
    able = select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == account, ACCOUNTS.c.disabled.is_(False))
    if (await tx.execute(able)).first() is None:
        raise UnknownAccount(f"there is no account {account} that could make a token")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _context(token: int) -> str:
    return f"tokens/{token}/name"
