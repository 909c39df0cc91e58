"""Who may sign in, with which role; sessions, tokens, and who holds the manager's key.

Passwords are argon2id hashes, checked in a thread. A committee account also keeps the manager's private key, wrapped
under its password: signing in unlocks it for that session, in memory only. After a restart a session is still valid but
locked, and reading names asks for the password again (`unlock`).
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
import unicodedata
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import delete, func, insert, select, update

from menwei import schema
from menwei.account_facts import (
    ABSOLUTE,
    IDLE,
    Account,
    AccountError,
    AccountExists,
    Held,
    KeyLocked,
    LastCommittee,
    LoginRefused,
    PasswordTooShort,
    Role,
    Session,
    UnknownAccount,
)
from menwei.columns import new_id
from menwei.failures import Failures, TooManyTries
from menwei.keys import Keys, ManagerPrivate, WrapCost, unwrap
from menwei.passwords import (
    PASSWORD_LENGTH,
    first_password,
    hash_of_nothing,
    normalised,
    require_length,
    verified,
)
from menwei.store import Store, Transaction
from menwei.tokens import Token, Tokens

ACCOUNTS, SESSIONS, MANAGER = schema.accounts, schema.sessions, schema.manager
FIRST_ACCOUNT = "admin"
_SEEN_EVERY = 300.0
"""Seconds between two writes of when a session was last used."""
_AT_ONCE = 2
"""Password checks at the same time: each takes 64 MiB and a core."""


_All = list[Account]  # inside the class below, `list` is a method
_Tokens = list[Token]


def keep(_password: str) -> None:
    """For who takes the first password from what `create_first` returns."""


class Accounts:
    """All accounts and sessions of one store. `cost` is argon2id's, for password hashes and wrapped keys alike."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        cost: WrapCost | None = None,
    ) -> None:
        self._store = store
        self._keys = keys
        self._now = now
        self._cost = cost or WrapCost()
        self._hasher = PasswordHasher(self._cost.time, self._cost.memory, self._cost.lanes)
        self._nobody = hash_of_nothing(self._cost)
        self._failures = Failures(monotonic)
        self._checking = asyncio.Semaphore(_AT_ONCE)
        self._sessions: dict[bytes, Held] = {}
        """Every session that was used since the start; the store knows the others."""
        self._endings = 0
        """Grows whenever a session ends, so that one read from the store just before is not taken for alive."""
        self.tokens = Tokens(store, keys, now)

    # ---------------------------------------------------------------------------------------------------- accounts

    async def create_first(self, tell: Callable[[str], None] = keep) -> str | None:
        """At first start: the manager's key and the account `admin` (committee) with a random password, which is told
        and returned this once. None when there are accounts already.

        It is told before it is kept: one that was kept and never told would lock every name away for ever."""
        await self._store.bind(self._keys.fingerprint)
        async with self._store.read() as connection:
            if (await connection.execute(select(ACCOUNTS.c.id).limit(1))).first() is not None:
                return None
        password = first_password()
        manager = ManagerPrivate.generate()
        row = await self._row(FIRST_ACCOUNT, Role.COMMITTEE, password, manager)
        async with self._store.transaction() as tx:
            await tx.execute(update(MANAGER).values(public=manager.public))
            await tx.execute(insert(ACCOUNTS), [row])
            tell(password)
        return password

    async def create(
        self, name: str, role: Role | str, password: str, *, unlocked: ManagerPrivate | None = None
    ) -> Account:
        """Make an account. A committee account needs `unlocked`, the manager's key, to get its own wrapped copy.
        Raises `AccountExists`, `PasswordTooShort`, `KeyLocked`; `ValueError` for a role no account can have."""
        role = Role(role)
        if role is Role.COMMITTEE and unlocked is None:
            raise KeyLocked("a committee account can only be made in an unlocked session")
        row = await self._row(name, role, password, unlocked if role is Role.COMMITTEE else None)
        async with self._store.transaction() as tx:
            taken = select(ACCOUNTS.c.id).where(ACCOUNTS.c.login == row["login"])
            if (await tx.execute(taken)).first() is not None:
                raise AccountExists("there is an account of that name")
            await tx.execute(insert(ACCOUNTS), [row])
            return await self._account(tx, row["id"])

    async def list(self) -> _All:
        """All accounts, the oldest first."""
        async with self._store.read() as connection:
            rows = (
                await connection.execute(select(ACCOUNTS).order_by(ACCOUNTS.c.created, ACCOUNTS.c.id))
            ).all()
        return [self._fact(row) for row in rows]

    async def set_disabled(self, account: int, disabled: bool) -> tuple[Account, _Tokens]:
        """Disable or enable; what it became. Disabling ends the account's sessions and revokes the tokens it made, for
        good, which are the second answer. Raises `UnknownAccount`, `LastCommittee`."""
        revoked: _Tokens = []
        async with self._store.transaction() as tx:
            found = await self._account(tx, account)
            if disabled:
                await self._not_the_last(tx, found)
                await self._end_sessions(tx, account)
                revoked = await self.tokens.revoke_made_by(tx, account)
            await tx.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account).values(disabled=disabled))
        return replace(found, disabled=disabled), revoked

    async def remove(self, account: int) -> None:
        """Delete an account, its sessions and the tokens it made. Raises `UnknownAccount`, `LastCommittee`."""
        async with self._store.transaction() as tx:
            await self._not_the_last(tx, await self._account(tx, account))
            await self._end_sessions(tx, account)
            await self.tokens.revoke_made_by(tx, account)
            await tx.execute(delete(ACCOUNTS).where(ACCOUNTS.c.id == account))

    async def change_password(self, session: Session, old: str, new: str) -> None:
        """The account's own new password: rewraps the manager's key and ends the other sessions. Raises
        `LoginRefused` when `old` is wrong, `TooManyTries`, `PasswordTooShort`."""
        require_length(new)
        account, manager = await self._check(session.account.name, old, _behind(session))
        await self._write_password(account, new, manager, keep=_digest(session.token))

    async def set_password(self, account: int, new: str, *, unlocked: ManagerPrivate | None = None) -> None:
        """A forgotten password, replaced by somebody else; ends all sessions of the account. For a committee account
        `unlocked` is needed. Raises `UnknownAccount`, `PasswordTooShort`, `KeyLocked`."""
        require_length(new)
        async with self._store.transaction() as tx:
            found = await self._account(tx, account)
        if found.role is Role.COMMITTEE and unlocked is None:
            raise KeyLocked("the password of a committee account can only be replaced in an unlocked session")
        await self._write_password(found, new, unlocked if found.role is Role.COMMITTEE else None, keep=None)

    # ---------------------------------------------------------------------------------------------------- sessions

    async def login(self, name: str, password: str, address: str) -> Session:
        """Sign in from `address`. Raises `LoginRefused`, or `TooManyTries` after five failures of this name or from
        this address, without looking at the password."""
        account, manager = await self._check(name, password, self._login_of(name), address)
        token, at = secrets.token_urlsafe(32), self._now()
        row = {"digest": _digest(token), "account": account.id, "created": at, "seen": at}
        held = Held(account, at, at, at, manager)
        async with self._store.transaction() as tx:
            if (await self._account(tx, account.id)).disabled:  # since the password was checked
                raise LoginRefused("wrong name or password")
            await tx.execute(insert(SESSIONS), [row])
            tx.on_commit(lambda: self._sessions.update({_digest(token): held}))
        return _session(token, held)

    async def session(self, token: str, *, used: bool = True) -> Session | None:
        """The session a cookie stands for; None when it ended, or never was. `used`: note that it is in use."""
        digest, at = _digest(token), self._now()
        held = self._sessions.get(digest)
        while held is None:
            endings = self._endings
            held = await self._remembered(digest)
            if held is None or endings == self._endings:
                break
            held = None
        if held is None:
            return None
        if at >= held.expires:
            await self._end(digest)
            return None
        if not used:
            return _session(token, held)
        held = replace(held, seen=max(held.seen, at))
        self._sessions[digest] = held
        if at - held.written >= _SEEN_EVERY:
            await self._write_seen(digest, at)
        return _session(token, held)

    async def unlock(self, token: str, password: str) -> Session | None:
        """The password once more, after a restart: the same session, with the manager's key. None when it ended.
        Raises `LoginRefused`, `TooManyTries`."""
        session = await self.session(token)
        if session is None:
            return None
        _, manager = await self._check(session.account.name, password, _behind(session))
        digest = _digest(token)
        if digest not in self._sessions:  # signed out meanwhile
            return None
        held = replace(self._sessions[digest], unlocked=manager)
        self._sessions[digest] = held
        return _session(token, held)

    async def token(self, secret: str) -> Token | None:
        """Whose API token this is; `tokens` makes, lists and revokes them."""
        return await self.tokens.find(secret)

    async def logout(self, token: str) -> None:
        """End a session and forget its key."""
        await self._end(_digest(token))

    async def revoke_all(self, account: int) -> None:
        """End all sessions of an account."""
        async with self._store.transaction() as tx:
            await self._end_sessions(tx, account)

    async def forget_ended(self) -> None:
        """Delete sessions and tokens that have run out, and the keys of the former. Called every hour or so."""
        at = self._now()
        for digest in [digest for digest, held in self._sessions.items() if at >= held.expires]:
            del self._sessions[digest]
        ended = (SESSIONS.c.created <= at - ABSOLUTE) | (SESSIONS.c.seen <= at - IDLE - _SEEN_EVERY)
        async with self._store.transaction() as tx:
            await tx.execute(delete(SESSIONS).where(ended))
        await self.tokens.forget_expired()

    async def end_later(self) -> None:
        """After the clock was taken back: end the sessions that began later than it says now. By their own times they
        would outlive it by as much as it was ahead."""
        later = SESSIONS.c.created > self._now()
        async with self._store.transaction() as tx:
            digests = list((await tx.execute(select(SESSIONS.c.digest).where(later))).scalars())
            await tx.execute(delete(SESSIONS).where(later))
            tx.on_commit(lambda: self._forget(digests))

    # ------------------------------------------------------------------------------------------------------ inside

    def _login_of(self, name: str) -> bytes:
        return self._keys.blind("accounts/login/" + _normal(name).casefold())

    async def _row(
        self, name: str, role: Role, password: str, manager: ManagerPrivate | None
    ) -> dict[str, Any]:
        require_length(password)
        number = new_id()
        hashed, wrapped = await self._in_thread(self._hash, number, password, manager)
        return {
            "id": number,
            "login": self._login_of(name),
            "name_sealed": self._keys.seal(_normal(name).encode(), _name_context(number)),
            "role": str(role),
            "password": hashed,
            "wrapped": wrapped,
            "disabled": False,
            "created": self._now(),
        }

    def _hash(self, number: int, password: str, manager: ManagerPrivate | None) -> tuple[str, bytes | None]:
        text = normalised(password)
        wrapped = manager.wrap(text, _key_context(number), self._cost) if manager is not None else None
        return self._hasher.hash(text), wrapped

    async def _check(
        self, name: str, password: str, *tried: Hashable
    ) -> tuple[Account, ManagerPrivate | None]:
        """The account whose password this is, and the key it opens. As slow for a name that does not exist. A wrong one
        counts against each of `tried`."""
        login = self._login_of(name)
        self._failures.begin(*tried)
        async with self._store.read() as connection:
            row = (await connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.login == login))).first()
        text = normalised(password)
        good = await self._in_thread(verified, self._hasher, row.password if row else self._nobody, text)
        if row is None or not good or row.disabled:
            raise LoginRefused("wrong name or password")
        self._failures.succeeded(*tried)
        manager = None
        if row.wrapped is not None:
            manager = await self._in_thread(unwrap, row.wrapped, text, _key_context(row.id))
        account = self._fact(row)
        if self._hasher.check_needs_rehash(row.password):
            hashed, wrapped = await self._in_thread(self._hash, row.id, password, manager)
            async with self._store.transaction() as tx:
                unchanged = (ACCOUNTS.c.id == row.id) & (ACCOUNTS.c.password == row.password)
                await tx.execute(update(ACCOUNTS).where(unchanged).values(password=hashed, wrapped=wrapped))
        return account, manager

    async def _write_password(
        self, account: Account, new: str, manager: ManagerPrivate | None, keep: bytes | None
    ) -> None:
        hashed, wrapped = await self._in_thread(self._hash, account.id, new, manager)
        async with self._store.transaction() as tx:
            values = {"password": hashed, "wrapped": wrapped}
            await tx.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account.id).values(**values))
            await self._end_sessions(tx, account.id, keep)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        async with self._checking:
            return await asyncio.to_thread(work, *arguments)

    async def _account(self, tx: Transaction, account: int) -> Account:
        row = (await tx.execute(select(ACCOUNTS).where(ACCOUNTS.c.id == account))).first()
        if row is None:
            raise UnknownAccount(f"there is no account {account}")
        return self._fact(row)

    def _fact(self, row: Any) -> Account:
        name = self._keys.unseal(row.name_sealed, _name_context(row.id)).decode()
        return Account(row.id, name, Role(row.role), row.disabled, row.wrapped is not None, row.created)

    async def _not_the_last(self, tx: Transaction, account: Account) -> None:
        others = select(func.count()).select_from(ACCOUNTS)
        able = (ACCOUNTS.c.wrapped.is_not(None), ACCOUNTS.c.disabled.is_(False), ACCOUNTS.c.id != account.id)
        if account.manager and not (await tx.execute(others.where(*able))).scalar_one():
            raise LastCommittee("this is the last account that can read names")

    async def _remembered(self, digest: bytes) -> Held | None:
        """A session from before the restart: valid, but locked."""
        query = select(SESSIONS.c.created, SESSIONS.c.seen, SESSIONS.c.account).where(
            SESSIONS.c.digest == digest
        )
        async with self._store.read() as connection:
            row = (await connection.execute(query)).first()
            if row is None:
                return None
            owner = (await connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.id == row.account))).one()
        return Held(self._fact(owner), row.created, row.seen, row.seen)

    async def _write_seen(self, digest: bytes, at: float) -> None:
        async with self._store.transaction() as tx:
            await tx.execute(update(SESSIONS).where(SESSIONS.c.digest == digest).values(seen=at))
        if digest in self._sessions:
            self._sessions[digest] = replace(self._sessions[digest], written=at)

    async def _end(self, digest: bytes) -> None:
        self._forget([digest])
        async with self._store.transaction() as tx:
            await tx.execute(delete(SESSIONS).where(SESSIONS.c.digest == digest))
            tx.on_commit(lambda: self._forget([digest]))

    async def _end_sessions(self, tx: Transaction, account: int, keep: bytes | None = None) -> None:
        theirs = SESSIONS.c.account == account
        digests = [
            d for d in (await tx.execute(select(SESSIONS.c.digest).where(theirs))).scalars() if d != keep
        ]
        await tx.execute(delete(SESSIONS).where(theirs, SESSIONS.c.digest != (keep or b"")))
        tx.on_commit(lambda: self._forget(digests))

    def _forget(self, digests: Iterable[bytes]) -> None:
        self._endings += 1
        for digest in digests:
            self._sessions.pop(digest, None)


def _digest(secret: str) -> bytes:
    """What the store keeps of a session or token: random 256 bits need no salt and no slow hash."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _behind(session: Session) -> Hashable:
    """What a password counts against that is asked of somebody who is signed in: their account here, and nothing that
    strangers at the sign-in can use up."""
    return ("session", session.account.id)


def _session(token: str, held: Held) -> Session:
    csrf = hashlib.sha256(b"csrf " + token.encode()).hexdigest()
    return Session(token, csrf, held.account, held.created, held.expires, held.unlocked)


def _normal(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).split())


def _name_context(account: int) -> str:
    return f"accounts/{account}/name"


def _key_context(account: int) -> str:
    return f"accounts/{account}/manager"


__all__ = [
    "PASSWORD_LENGTH",
    "Account",
    "AccountError",
    "AccountExists",
    "Accounts",
    "KeyLocked",
    "LastCommittee",
    "LoginRefused",
    "PasswordTooShort",
    "Role",
    "Session",
    "Token",
    "TooManyTries",
    "UnknownAccount",
]
