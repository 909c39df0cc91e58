"""Tokens for programs. The secret is in the answer that makes it and nowhere else."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

from pydantic import Field

from menwei.accounts import Role as AccountRole
from menwei.api_accounts import KEEPERS
from menwei.api_credentials import midnight
from menwei.api_session import NameText, refusing_account
from menwei.routes import NO_TOKENS, Call, Done, Model, Problem, Route, number
from menwei.tokens import Token


class Scope(StrEnum):
    """What a token can be narrowed to: the tags of the API's routes, the keepers' own left out."""

    DOORS = "doors"
    JOURNAL = "journal"
    PEOPLE = "people"
    DEVICES = "devices"
    MACHINE = "machine"


class TokenOut(Model):
    """`scope` empty: all that the role may. `expires` in seconds since the epoch, None: until revoked. `made_by`: the
    account that made it and that it goes with, None: the machine's operator."""

    id: int
    name: str
    role: str
    scope: tuple[str, ...]
    created: float
    expires: float | None
    made_by: int | None


class TokenList(Model):
    tokens: tuple[TokenOut, ...]


class NewToken(Model):
    """`last_day`: the last day at the site on which it works."""

    name: NameText
    role: AccountRole
    scope: Annotated[tuple[Scope, ...], Field(max_length=len(Scope))] = ()
    last_day: date | None = None


class MadeToken(Model):
    """`secret` is shown this once."""

    token: TokenOut
    secret: str


def token_out(token: Token) -> TokenOut:
    return TokenOut(
        id=token.id,
        name=token.name,
        role=token.role,
        scope=tuple(sorted(token.scope)),
        created=token.created,
        expires=token.expires,
        made_by=token.made_by,
    )


async def list_tokens(call: Call) -> TokenList:
    return TokenList(tokens=tuple(token_out(token) for token in await call.house.accounts.tokens.all()))


async def add_token(call: Call) -> MadeToken:
    body: NewToken = call.body
    expires = midnight(body.last_day, call.house.site.zone, after=1) if body.last_day is not None else None
    if expires is not None and expires <= call.house.clock.now():
        raise Problem(HTTPStatus.BAD_REQUEST, "web.day_gone", "body.last_day")
    made_by = call.session.account.id if call.session is not None else None
    with refusing_account():
        token, secret = await call.house.accounts.tokens.create(
            body.name, body.role, scope=body.scope, expires=expires, made_by=made_by
        )
    facts = {"token": token.id, "new_role": token.role, "scope": sorted(token.scope)}
    await call.house.audit(call.who, "token.add", facts, {"name": token.name})
    return MadeToken(token=token_out(token), secret=secret)


async def revoke_token(call: Call) -> Done:
    id = number(call.path["token"], "path.token")
    if not await call.house.accounts.tokens.revoke(id):
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_token", "path.token")
    await call.house.audit(call.who, "token.revoke", {"token": id})
    return Done()


def routes() -> list[Route]:
    tags = ("accounts",)
    return [
        Route(
            "GET", "/api/tokens", list_tokens, KEEPERS, NO_TOKENS, summary="api.tokens.list", tags=tags,
            response=TokenList,
        ),
        Route(
            "POST", "/api/tokens", add_token, KEEPERS, NO_TOKENS, summary="api.tokens.add", tags=tags, body=NewToken,
            response=MadeToken,
        ),
        Route(
            "POST", r"/api/tokens/{token:\d{1,18}}/revoke", revoke_token, KEEPERS, NO_TOKENS,
            summary="api.tokens.revoke", tags=tags, response=Done, destructive=True,
        ),
    ]  # fmt: skip
