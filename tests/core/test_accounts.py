"""Signing in: slow for guessers, unlocked only by a password, over when it is over."""
# ruff: noqa: F811  fixtures are imported by their names

import asyncio

import argon2
import pytest
from sqlalchemy import text

from accounts_office import CHEAP, HERE, HOUR, PASSWORD, THERE, Office, Time, office, rows  # noqa: F401
from menwei import routes, schema
from menwei.accounts import (
    AccountExists,
    Accounts,
    KeyLocked,
    LastCommittee,
    LoginRefused,
    PasswordTooShort,
    Role,
    TooManyTries,
    UnknownAccount,
)
from menwei.keys import KeyMismatch, Keys, WrapCost, seal_for_manager
from rights_support import opened


async def test_the_first_start_makes_one_committee_account_and_tells_its_password_once(office):
    assert len(office.password) == 19
    assert await office.accounts.create_first() is None
    session = await office.admin()
    assert (session.account.name, session.account.role, session.account.manager) == (
        "admin",
        Role.COMMITTEE,
        True,
    )
    assert await office.accounts.list() == [session.account]


async def test_an_account_whose_password_nobody_could_be_told_is_not_made(tmp_path):
    def broken_pipe(_password: str) -> None:
        raise BrokenPipeError

    async with opened(tmp_path) as house:
        made = Office(house.store, Time())
        with pytest.raises(BrokenPipeError):
            await made.accounts.create_first(broken_pipe)
        assert await made.accounts.list() == []
        told: list[str] = []
        password = await made.accounts.create_first(told.append)
        assert told == [password]


async def test_signing_in_as_committee_opens_what_was_sealed_for_the_manager(office):
    (manager,) = await rows(office, schema.manager)
    sealed = seal_for_manager(manager.public, b"name", "holders/1/name_sealed")
    session = await office.admin()
    assert session.unlocked.open(sealed, "holders/1/name_sealed") == b"name"


async def test_other_roles_have_no_key(office):
    account = await office.accounts.create("门卫老李", Role.GUARD, PASSWORD)
    session = await office.accounts.login("门卫老李", PASSWORD, HERE)
    assert not account.manager
    assert session.unlocked is None
    assert session.account.actor.role == "guard"


async def test_a_login_name_is_the_same_in_any_case_and_width(office):
    await office.accounts.create("Li  Wei", Role.GUARD, PASSWORD)
    assert (await office.accounts.login("ｌｉ wei", PASSWORD, HERE)).account.name == "Li Wei"
    with pytest.raises(AccountExists):
        await office.accounts.create("LI WEI", Role.AUDITOR, PASSWORD)


@pytest.mark.parametrize(
    ("name", "password"), [("admin", "wrong password"), ("nobody", "wrong password"), ("", "")]
)
async def test_a_wrong_name_and_a_wrong_password_are_one_refusal(office, name, password):
    with pytest.raises(LoginRefused, match="wrong name or password"):
        await office.accounts.login(name, password, HERE)


async def test_an_unknown_name_costs_a_password_check_as_well(office, monkeypatch):
    checked = []
    real = argon2.PasswordHasher.verify
    monkeypatch.setattr(
        argon2.PasswordHasher, "verify", lambda own, *given: checked.append(given[0]) or real(own, *given)
    )
    for name in ("admin", "nobody"):
        with pytest.raises(LoginRefused):
            await office.accounts.login(name, "wrong password", HERE)
    known, unknown = (argon2.extract_parameters(hashed) for hashed in checked)
    assert known == unknown


async def test_the_default_cost_is_that_of_rfc_9106(office):
    cost = WrapCost()
    assert (cost.time, cost.memory, cost.lanes) == (3, 65536, 4)


async def test_a_higher_cost_is_taken_over_at_the_next_sign_in(office):
    office.restart(WrapCost(time=2, memory=16, lanes=1))
    assert (await office.admin()).unlocked is not None
    (row,) = await rows(office, schema.accounts)
    assert argon2.extract_parameters(row.password).time_cost == 2
    assert (row.wrapped[0], (await office.admin()).unlocked is not None) == (2, True)


# --------------------------------------------------------------------------------------------------------- guessing


async def fail(office, times, name="admin", address=HERE):
    for _ in range(times):
        with pytest.raises(LoginRefused):
            await office.accounts.login(name, "wrong password", address)


async def test_after_five_failures_a_name_rests_for_five_minutes_even_with_the_right_password(office):
    await fail(office, 5)
    with pytest.raises(TooManyTries) as refused:
        await office.accounts.login("admin", office.password, THERE)
    assert refused.value.seconds == pytest.approx(300)
    office.time.at += 301
    assert await office.accounts.login("admin", office.password, THERE)


async def test_after_five_failures_an_address_rests_whatever_the_name(office):
    for number in range(5):
        await fail(office, 1, name=f"nobody-{number}")
    with pytest.raises(TooManyTries):
        await office.accounts.login("admin", office.password, HERE)
    assert await office.accounts.login("admin", office.password, THERE)


async def test_a_good_sign_in_forgives_the_name_but_not_the_address(office):
    await office.accounts.create("guard", Role.GUARD, PASSWORD)
    await fail(office, 4, name="victim")
    assert await office.accounts.login("guard", PASSWORD, HERE)
    await fail(office, 1, name="victim-2")
    with pytest.raises(TooManyTries):
        await office.accounts.login("guard", PASSWORD, HERE)
    office.time.at += 301
    await fail(office, 4, name="admin")
    assert await office.accounts.login("admin", office.password, HERE)
    await fail(office, 1, name="admin", address=THERE)


async def test_who_is_signed_in_is_not_kept_from_unlocking_by_strangers_who_guess(office):
    session = await office.admin()
    office.restart()
    await fail(office, 5, address=THERE)
    await fail(office, 5, name="nobody", address=HERE)
    with pytest.raises(TooManyTries):
        await office.admin()
    assert (await office.accounts.unlock(session.token, office.password)).unlocked is not None
    await office.accounts.change_password(session, office.password, PASSWORD)


async def test_guesses_behind_a_session_are_counted_together_and_for_its_account_alone(office):
    session, other = await office.admin(), await office.admin()
    for guess in (
        office.accounts.unlock(session.token, "wrong password"),
        office.accounts.unlock(other.token, "wrong password"),
        office.accounts.change_password(session, "wrong password", PASSWORD),
        office.accounts.change_password(other, "wrong password", PASSWORD),
        office.accounts.unlock(session.token, "wrong password"),
    ):
        with pytest.raises(LoginRefused):
            await guess
    for right in (
        office.accounts.unlock(other.token, office.password),
        office.accounts.change_password(session, office.password, PASSWORD),
    ):
        with pytest.raises(TooManyTries):
            await right
    assert await office.admin(), "signing in anew is another thing"
    office.time.at += 301
    assert (await office.accounts.unlock(session.token, office.password)).unlocked is not None


async def test_a_hundred_guesses_at_once_are_a_hundred_guesses(office):
    guesses = (office.accounts.login("admin", f"wrong password {number}", HERE) for number in range(100))
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(result, LoginRefused) for result in results) == 5
    assert sum(isinstance(result, TooManyTries) for result in results) == 95


# --------------------------------------------------------------------------------------------------------- sessions


async def test_a_session_is_known_by_its_token_and_by_nothing_else(office):
    session = await office.admin()
    again = await office.accounts.session(session.token)
    assert (again.account, again.csrf) == (session.account, session.csrf)
    assert again.unlocked is session.unlocked
    for token in ("", session.token[:-1], session.token + "x", session.csrf, "\ud800"):
        assert await office.accounts.session(token) is None


async def test_tokens_and_csrf_are_different_for_every_session(office):
    one, other = await office.admin(), await office.admin()
    assert len({one.token, other.token, one.csrf, other.csrf}) == 4


async def test_the_store_holds_no_token_no_password_and_no_login_name(office, tmp_path):
    session = await office.admin()
    await office.accounts.create("lao-wang-the-guard", Role.GUARD, PASSWORD)
    _, secret = await office.accounts.tokens.create("gate-robot", "guard")
    async with office.store.engine.connect() as connection:
        await connection.execute(text("PRAGMA wal_checkpoint(FULL)"))
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for clear in (session.token, session.csrf, office.password, PASSWORD, "lao-wang", secret, "gate-robot"):
        assert clear.encode() not in content, clear


async def test_a_session_ends_when_it_was_not_used_for_twelve_hours(office):
    session = await office.admin()
    for _ in range(3):
        office.time.at += 11 * HOUR
        assert await office.accounts.session(session.token)
    office.time.at += 12 * HOUR
    assert await office.accounts.session(session.token) is None
    assert await rows(office, schema.sessions) == []


async def test_a_session_ends_after_seven_days_however_busy(office):
    session = await office.admin()
    for _ in range(7 * 24 - 1):
        office.time.at += HOUR
        assert await office.accounts.session(session.token)
    office.time.at += HOUR
    assert await office.accounts.session(session.token) is None


async def test_after_a_restart_a_session_is_valid_but_locked_until_the_password_comes_again(office):
    session = await office.admin()
    office.restart()
    again = await office.accounts.session(session.token)
    assert (again.account, again.unlocked) == (session.account, None)
    with pytest.raises(LoginRefused):
        await office.accounts.unlock(session.token, "wrong password")
    assert (await office.accounts.unlock(session.token, office.password)).unlocked is not None
    assert (await office.accounts.session(session.token)).unlocked is not None


async def test_idleness_is_counted_over_a_restart(office):
    session = await office.admin()
    office.time.at += 11 * HOUR
    assert await office.accounts.session(session.token)
    office.restart()
    office.time.at += 11 * HOUR
    assert await office.accounts.session(session.token)
    office.restart()
    office.time.at += 12 * HOUR
    assert await office.accounts.session(session.token) is None


async def test_who_signed_out_is_out(office):
    session, other = await office.admin(), await office.admin()
    await office.accounts.logout(session.token)
    assert await office.accounts.session(session.token) is None
    assert await office.accounts.unlock(session.token, office.password) is None
    assert await office.accounts.session(other.token)


async def test_signing_out_while_the_session_is_being_read_ends_it(office):
    for turns in range(25):
        session = await office.admin()
        office.restart()
        reading = asyncio.create_task(office.accounts.session(session.token))
        for _ in range(turns):
            await asyncio.sleep(0.0002)
        await office.accounts.logout(session.token)
        await reading
        assert await office.accounts.session(session.token) is None, turns


async def test_all_sessions_of_an_account_end_together(office):
    sessions = [await office.admin() for _ in range(3)]
    await office.accounts.revoke_all(sessions[0].account.id)
    assert [await office.accounts.session(session.token) for session in sessions] == [None] * 3


async def test_ended_sessions_and_tokens_are_forgotten(office):
    await office.admin()
    await office.accounts.tokens.create("robot", "guard", expires=office.time.at + HOUR)
    await office.accounts.tokens.create("robot for ever", "guard")
    office.time.at += 13 * HOUR
    await office.accounts.forget_ended()
    assert await rows(office, schema.sessions) == []
    assert [token.name for token in await office.accounts.tokens.all()] == ["robot for ever"]


async def test_a_session_in_a_traceback_shows_no_secret(office):
    session = await office.admin()
    assert session.token not in repr(session)
    assert session.csrf not in repr(session)


# --------------------------------------------------------------------------------------------------------- accounts


async def test_a_new_password_opens_the_same_key_and_ends_the_other_sessions(office):
    session, other = await office.admin(), await office.admin()
    with pytest.raises(LoginRefused):
        await office.accounts.change_password(session, "wrong password", PASSWORD)
    await office.accounts.change_password(session, office.password, PASSWORD)
    assert await office.accounts.session(session.token)
    assert await office.accounts.session(other.token) is None
    with pytest.raises(LoginRefused):
        await office.admin()
    again = await office.accounts.login("admin", PASSWORD, HERE)
    assert again.unlocked.public == session.unlocked.public


async def test_a_second_committee_member_gets_the_key_from_the_first(office):
    session = await office.admin()
    with pytest.raises(KeyLocked):
        await office.accounts.create("second", Role.COMMITTEE, PASSWORD)
    await office.accounts.create("second", Role.COMMITTEE, PASSWORD, unlocked=session.unlocked)
    second = await office.accounts.login("second", PASSWORD, HERE)
    assert second.unlocked.public == session.unlocked.public


async def test_a_forgotten_password_is_replaced_by_somebody_who_has_the_key(office):
    session = await office.admin()
    second = await office.accounts.create("second", Role.COMMITTEE, PASSWORD, unlocked=session.unlocked)
    guard = await office.accounts.create("guard", Role.GUARD, PASSWORD)
    with pytest.raises(KeyLocked):
        await office.accounts.set_password(second.id, "another password")
    await office.accounts.set_password(second.id, "another password", unlocked=session.unlocked)
    await office.accounts.set_password(guard.id, "another password")
    assert (await office.accounts.login("second", "another password", HERE)).unlocked is not None
    assert (await office.accounts.login("guard", "another password", HERE)).unlocked is None


@pytest.mark.parametrize("password", ["", "short", "123456789"])
async def test_a_password_has_ten_characters_at_least(office, password):
    session = await office.admin()
    with pytest.raises(PasswordTooShort):
        await office.accounts.create("guard", Role.GUARD, password)
    with pytest.raises(PasswordTooShort):
        await office.accounts.change_password(session, office.password, password)
    with pytest.raises(PasswordTooShort):
        await office.accounts.set_password(session.account.id, password, unlocked=session.unlocked)


async def test_a_password_is_the_same_from_every_keyboard(office):
    await office.accounts.create("guard", Role.GUARD, "pässwörter lang")
    assert await office.accounts.login("guard", "pa\u0308sswo\u0308rter lang", HERE)


async def test_a_disabled_account_is_out_at_once_and_stays_out(office):
    guard = await office.accounts.create("guard", Role.GUARD, PASSWORD)
    session = await office.accounts.login("guard", PASSWORD, HERE)
    assert (await office.accounts.set_disabled(guard.id, True))[0].disabled
    assert await office.accounts.session(session.token) is None
    with pytest.raises(LoginRefused):
        await office.accounts.login("guard", PASSWORD, HERE)
    await office.accounts.set_disabled(guard.id, False)
    assert await office.accounts.login("guard", PASSWORD, HERE)


async def test_the_last_account_that_reads_names_can_not_be_disabled_or_removed(office):
    session = await office.admin()
    admin = session.account.id
    with pytest.raises(LastCommittee):
        await office.accounts.set_disabled(admin, True)
    with pytest.raises(LastCommittee):
        await office.accounts.remove(admin)
    second = await office.accounts.create("second", Role.COMMITTEE, PASSWORD, unlocked=session.unlocked)
    await office.accounts.set_disabled(admin, True)
    with pytest.raises(LastCommittee):
        await office.accounts.set_disabled(second.id, True)
    await office.accounts.remove(admin)
    assert [account.name for account in await office.accounts.list()] == ["second"]


async def test_an_account_that_does_not_exist_is_an_error(office):
    for change in (
        office.accounts.set_disabled(7, True),
        office.accounts.remove(7),
        office.accounts.set_password(7, PASSWORD),
    ):
        with pytest.raises(UnknownAccount):
            await change


async def test_nobody_can_be_made_operator(office):
    with pytest.raises(ValueError, match="operator"):
        await office.accounts.create("root", "operator", PASSWORD)


def test_an_account_can_have_every_role_but_the_operators():
    assert {str(role) for role in Role} == {str(role) for role in routes.Role} - {"operator"}


async def test_accounts_of_another_machine_key_are_refused(office):
    with pytest.raises(KeyMismatch):
        await Accounts(office.store, Keys(bytes(32)), cost=CHEAP).create_first()


async def test_a_session_from_a_time_that_was_taken_back_ends_with_it(office):
    before = await office.admin()
    office.time.at += 400 * 24 * HOUR
    wrong = await office.admin()
    office.time.at -= 400 * 24 * HOUR
    assert await office.accounts.session(wrong.token, used=False) is not None
    await office.accounts.end_later()
    assert await office.accounts.session(wrong.token) is None
    assert await office.accounts.session(before.token) is not None
    office.restart()
    assert await office.accounts.session(wrong.token) is None
