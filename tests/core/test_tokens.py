"""Programs' tokens: what they may, and with whom they go."""
# ruff: noqa: F811  fixtures are imported by their names

import pytest

from accounts_office import PASSWORD, office  # noqa: F401
from menwei.accounts import (
    Role,
    UnknownAccount,
)


async def test_a_token_has_its_role_and_scope_until_it_expires(office):
    made, secret = await office.accounts.tokens.create(
        "home", "guard", scope={"doors.read"}, expires=office.time.at + 60
    )
    assert secret.startswith("mw_")
    assert await office.accounts.token(secret) == made
    assert (made.role, made.scope, made.actor.kind) == ("guard", {"doors.read"}, "token")
    office.time.at += 60
    assert await office.accounts.token(secret) is None


async def test_a_revoked_token_is_worthless_at_once(office):
    made, secret = await office.accounts.tokens.create("home", "guard")
    assert await office.accounts.tokens.revoke(made.id)
    assert not await office.accounts.tokens.revoke(made.id)
    assert await office.accounts.token(secret) is None


async def test_the_tokens_that_an_account_made_end_with_it_and_no_others(office):
    chair = await office.accounts.create("chair", Role.GUARD, PASSWORD)
    tokens = office.accounts.tokens
    theirs = [await tokens.create(name, "guard", made_by=chair.id) for name in ("wall", "printer")]
    admin = (await office.admin()).account.id
    others = [await tokens.create("home", "guard", made_by=admin), await tokens.create("backup", "guard")]
    _, revoked = await office.accounts.set_disabled(chair.id, True)
    assert set(revoked) == {made for made, _ in theirs}  # made in the same moment: in no order
    assert set(await tokens.all()) == {made for made, _ in others}
    assert [await tokens.find(secret) for _, secret in theirs] == [None, None]
    assert (await office.accounts.set_disabled(chair.id, False))[1] == []
    assert [await tokens.find(secret) for _, secret in theirs] == [None, None]


async def test_the_tokens_of_a_removed_account_are_worthless(office):
    chair = await office.accounts.create("chair", Role.GUARD, PASSWORD)
    _, secret = await office.accounts.tokens.create("wall", "guard", made_by=chair.id)
    await office.accounts.remove(chair.id)
    assert await office.accounts.token(secret) is None


async def test_who_was_disabled_meanwhile_makes_no_token(office):
    chair = await office.accounts.create("chair", Role.GUARD, PASSWORD)
    await office.accounts.set_disabled(chair.id, True)
    with pytest.raises(UnknownAccount):
        await office.accounts.tokens.create("wall", "guard", made_by=chair.id)
    assert await office.accounts.tokens.all() == []


async def test_a_sessions_cookie_is_no_token_and_a_token_no_session(office):
    session = await office.admin()
    _, secret = await office.accounts.tokens.create("home", "guard")
    assert await office.accounts.token(session.token) is None
    assert await office.accounts.session(secret) is None
