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
from menwei.columns import new_id
from menwei.keys import Keys
from menwei.model import Actor
from menwei.store import Store

TOKENS = schema.tokens
PREFIX = "mw_"
"""So that a scanner finds a token that got into a repository."""


@dataclass(frozen=True, slots=True)
class Token:
    """A program that may call. `scope` names what of its role's rights it has; empty: all of them. `expires` None:
    until revoked."""

    id: int
    name: str
    role: str
    scope: frozenset[str]
    created: float
    expires: float | None

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
        self, name: str, role: str, *, scope: Iterable[str] = (), expires: float | None = None
    ) -> tuple[Token, str]:
        """A new token, and its secret, which is shown this once. The caller has checked that `role` is one."""
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
        }
        async with self._store.transaction() as tx:
            await tx.execute(insert(TOKENS), [row])
        return Token(number, name, str(role), allowed, created, expires), secret

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

    async def forget_expired(self) -> None:
        async with self._store.transaction() as tx:
            await tx.execute(delete(TOKENS).where(TOKENS.c.expires <= self._now()))

    def _fact(self, row: Any) -> Token:
        name = self._keys.unseal(row.name_sealed, _context(row.id)).decode()
        return Token(row.id, name, row.role, frozenset(row.scope), row.created, row.expires)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _context(token: int) -> str:
    return f"tokens/{token}/name"
