"""Accounts: who may sign in, with which role."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from pydantic import StringConstraints

from menwei.accounts import Account
from menwei.accounts import Role as AccountRole
from menwei.api_session import NameText, PasswordText, refusing_account
from menwei.routes import NO_TOKENS, Call, Done, Model, Problem, Role, Route, number

KEEPERS = frozenset({Role.COMMITTEE, Role.OPERATOR})


class AccountOut(Model):
    """`manager`: can read names, with the own password."""

    id: int
    name: str
    role: AccountRole
    disabled: bool
    manager: bool
    created: float


class AccountList(Model):
    accounts: tuple[AccountOut, ...]


class AccountChanged(AccountOut):
    """`revoked`: names of the tokens that the account had made, which are worthless from now on."""

    revoked: tuple[str, ...]


class NewAccount(Model):
    """A committee account can only be made in an unlocked session: it gets the manager's key under its password."""

    name: NameText
    role: AccountRole
    password: PasswordText


class Disabled(Model):
    """Disabling ends the account's sessions at once, and for good the tokens it made."""

    disabled: bool


class Replaced(Model):
    """A new password for somebody who forgot theirs."""

    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]


def account_out(account: Account) -> AccountOut:
    return AccountOut(
        id=account.id,
        name=account.name,
        role=account.role,
        disabled=account.disabled,
        manager=account.manager,
        created=account.created,
    )


async def list_accounts(call: Call) -> AccountList:
    return AccountList(accounts=tuple(account_out(account) for account in await call.house.accounts.list()))


async def add_account(call: Call) -> AccountOut:
    with refusing_account():
        account = await call.house.accounts.create(
            call.body.name, call.body.role, call.body.password, unlocked=call.key
        )
    await call.house.audit(
        call.who, "account.add", {"new_role": str(account.role)}, {"account": account.name}
    )
    return account_out(account)


async def set_disabled(call: Call) -> AccountChanged:
    id = number(call.path["account"], "path.account")
    if call.body.disabled and call.session is not None and call.session.account.id == id:
        raise Problem(HTTPStatus.CONFLICT, "web.own_account")
    with refusing_account():
        account, revoked = await call.house.accounts.set_disabled(id, call.body.disabled)
    action = "account.disable" if account.disabled else "account.enable"
    await call.house.audit(call.who, action, {}, {"account": account.name})
    for token in revoked:
        await call.house.audit(call.who, "token.revoke", {"token": token.id}, {"name": token.name})
    names = tuple(token.name for token in revoked)
    return AccountChanged(**account_out(account).model_dump(), revoked=names)


async def replace_password(call: Call) -> Done:
    id = number(call.path["account"], "path.account")
    with refusing_account():
        await call.house.accounts.set_password(id, call.body.password, unlocked=call.key)
    await call.house.audit(call.who, "account.password", {}, {"account": id})
    return Done()


def routes() -> list[Route]:
    tags = ("accounts",)
    one = r"/api/accounts/{account:\d{1,18}}"
    return [
        Route(
            "GET", "/api/accounts", list_accounts, KEEPERS, NO_TOKENS, summary="api.accounts.list", tags=tags,
            response=AccountList,
        ),
        Route(
            "POST", "/api/accounts", add_account, KEEPERS, NO_TOKENS, summary="api.accounts.add", tags=tags,
            body=NewAccount, response=AccountOut, statuses=(409,),
        ),
        Route(
            "POST", f"{one}/state", set_disabled, KEEPERS, NO_TOKENS, summary="api.accounts.state", tags=tags,
            body=Disabled, response=AccountChanged, statuses=(409,), destructive=True,
        ),
        Route(
            "POST", f"{one}/password", replace_password, KEEPERS, NO_TOKENS, summary="api.accounts.password", tags=tags,
            body=Replaced, response=Done, statuses=(409,), destructive=True,
        ),
    ]  # fmt: skip
