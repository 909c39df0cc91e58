"""Signing in and out, and what the caller is to this house."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated

from pydantic import StringConstraints

from menwei.accounts import (
    PASSWORD_LENGTH,
    AccountError,
    LoginRefused,
    PasswordTooShort,
    Session,
    TooManyTries,
    UnknownAccount,
)
from menwei.routes import (
    EVERYBODY,
    NOT_BLANK,
    PEOPLE_ONLY,
    Call,
    Done,
    Kind,
    Model,
    Problem,
    Route,
    SignedIn,
    SignedOut,
)

NameText = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=NOT_BLANK)]
PasswordText = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Login(Model):
    """An account's name and password."""

    name: NameText
    password: PasswordText


class Unlock(Model):
    """The own password once more: after a restart a session still holds, but names are sealed again."""

    password: PasswordText


class NewPassword(Model):
    old: PasswordText
    new: PasswordText


class Me(Model):
    """Who the caller is. `unlocked`: names of people can be read; `manager`: they could be, with the password. `csrf`
    goes into the X-CSRF-Token header of changes that are made with the session's cookie."""

    name: str
    role: str
    kind: str
    language: str
    unlocked: bool = False
    manager: bool = False
    csrf: str = ""


@contextmanager
def refusing_account() -> Iterator[None]:
    """What the accounts refuse, as an answer to the caller."""
    try:
        yield
    except TooManyTries as error:
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "web.too_many", seconds=int(error.seconds) + 1) from None
    except LoginRefused as error:
        raise Problem(HTTPStatus.UNAUTHORIZED, error.says) from None
    except UnknownAccount as error:
        raise Problem(HTTPStatus.NOT_FOUND, error.says) from None
    except PasswordTooShort as error:
        raise Problem(HTTPStatus.BAD_REQUEST, error.says, length=PASSWORD_LENGTH) from None
    except AccountError as error:
        raise Problem(HTTPStatus.CONFLICT, error.says) from None


def me_of(call: Call, session: Session | None) -> Me:
    if session is None:
        return Me(name=call.who.name, role=call.who.role, kind=call.who.kind, language=call.language)
    account = session.account
    return Me(
        name=account.name,
        role=account.role,
        kind=Kind.ACCOUNT,
        language=call.language,
        unlocked=session.unlocked is not None,
        manager=account.manager,
        csrf=session.csrf,
    )


async def login(call: Call) -> SignedIn:
    """A session that came along is ended: nobody else's cookie survives a login on the same browser."""
    with refusing_account():
        session = await call.house.accounts.login(call.body.name, call.body.password, call.address)
    if call.session is not None:
        await call.house.accounts.logout(call.session.token)
    await call.house.audit(session.account.actor, "login", {})
    return SignedIn(session, me_of(call, session))


async def logout(call: Call) -> SignedOut:
    session = own_session(call)
    await call.house.accounts.logout(session.token)
    await call.house.audit(call.who, "logout", {})
    return SignedOut(Done())


async def me(call: Call) -> Me:
    return me_of(call, call.session)


async def unlock(call: Call) -> Me:
    with refusing_account():
        session = await call.house.accounts.unlock(own_session(call).token, call.body.password)
    if session is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, "web.sign_in")
    return me_of(call, session)


async def change_password(call: Call) -> Done:
    with refusing_account():
        await call.house.accounts.change_password(own_session(call), call.body.old, call.body.new)
    await call.house.audit(call.who, "password", {})
    return Done()


def own_session(call: Call) -> Session:
    """The caller's session, on a route for accounts only."""
    if call.session is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, "web.sign_in")
    return call.session


def routes() -> list[Route]:
    tags = ("session",)
    return [
        Route(
            "POST", "/api/login", login, public=True, summary="api.login", tags=tags, body=Login, response=Me,
            statuses=(401, 403, 429),
        ),
        Route(
            "POST", "/api/logout", logout, EVERYBODY, PEOPLE_ONLY, summary="api.logout", tags=tags, response=Done
        ),
        Route("GET", "/api/me", me, EVERYBODY, summary="api.me", tags=tags, response=Me),
        Route(
            "POST", "/api/unlock", unlock, EVERYBODY, PEOPLE_ONLY, summary="api.unlock", tags=tags, body=Unlock,
            response=Me, statuses=(429,),
        ),
        Route(
            "POST", "/api/password", change_password, EVERYBODY, PEOPLE_ONLY, summary="api.password", tags=tags,
            body=NewPassword, response=Done, statuses=(429,),
        ),
    ]  # fmt: skip
