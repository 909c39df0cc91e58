"""The installer's side of the API, and accounts: devices, discovery, adoption, plugins, repairs, tokens."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient

from menwei.accounts import LoginRefused
from menwei.context import Repair
from menwei.model import DeviceInfo
from small_house import HOUSE, PASSWORD, sign_in

Browser = TestClient[Any, Any]


async def test_devices_are_listed_with_their_state_and_doors(client: Browser) -> None:
    await sign_in(client, "installer")
    device = (await (await client.get("/api/devices")).json())["devices"][0]
    assert (device["id"], device["driver"], device["state"], device["model"]) == (
        "board",
        "stand-in",
        "ready",
        "Stand-in 3",
    )
    assert "小区门" in device["doors"]


async def test_a_discovered_device_is_proposed_with_an_id(client: Browser) -> None:
    await sign_in(client, "installer")
    device = (await (await client.get("/api/discovery")).json())["devices"][0]
    assert (device["id"], device["proposed"], device["title"]) == ("board-7", "board-7", "门控板 7")


async def test_a_device_in_use_under_another_id_is_not_discovered_again(
    client: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = client.app[HOUSE].supervisor
    monkeypatch.setattr(supervisor, "info", lambda _id: DeviceInfo("board-7", "M7", "1"))
    await sign_in(client, "installer")
    assert (await (await client.get("/api/discovery")).json())["devices"] == []


async def test_a_device_is_adopted_with_a_door_and_that_is_recorded(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "installer")
    answer = await client.post(
        "/api/adopt", json={"device": "board-7", "id": "cellar", "door_name": "自行车库", "reader": "in"}
    )
    assert (answer.status, (await answer.json())["doors"]) == (200, ["cellar"])
    _, id, doors = house.adopted[0]
    assert (id, doors[0].name, dict(doors[0].access_points)) == ("cellar", "自行车库", {"cellar-in": "in"})
    audit = (await house.audits())[-1]
    assert (audit["action"], audit["device"], audit["actor"]) == ("device.adopt", "cellar", "the installer")


async def test_what_is_not_discovered_is_not_adopted(client: Browser) -> None:
    await sign_in(client, "installer")
    answer = await client.post("/api/adopt", json={"device": "nothing", "id": "x"})
    assert (answer.status, (await answer.json())["error"]) == (404, "web.not_discovered")


async def test_why_a_device_was_not_adopted_is_told_in_words(client: Browser) -> None:
    await sign_in(client, "installer")
    answer = await client.post("/api/adopt", json={"device": "board-7", "id": "board"})
    told = await answer.json()
    assert (answer.status, told["error"]) == (409, "web.not_adopted")
    assert "board" in told["message"]
    assert client.app[HOUSE].adopted == []


async def test_a_connection_is_tested_and_nothing_written(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "installer")
    answer = await client.post("/api/adopt/test", json={"device": "board-7"})
    assert (answer.status, await answer.json()) == (
        200,
        {"model": "M7", "version": "1", "locks": ["1", "2"], "readers": ["in", "out"]},
    )
    assert house.adopted == []
    assert [audit["device"] for audit in await house.audits() if audit["action"] == "device.test"] == [
        "board-7"
    ]


async def test_why_a_device_did_not_answer_the_test_is_told_in_words(client: Browser) -> None:
    client.app[HOUSE].devices.silent = True
    await sign_in(client, "installer")
    answer = await client.post("/api/adopt/test", json={"device": "board-7"})
    assert (answer.status, (await answer.json())["error"]) == (409, "web.not_adopted")
    assert (await client.post("/api/adopt/test", json={"device": "nothing"})).status == 404


@pytest.mark.parametrize("id", ["../etc", "Großes Tor", "a b", "", "x" * 65, "-x"])
async def test_an_id_that_could_not_stand_in_the_config_is_refused(client: Browser, id: str) -> None:
    await sign_in(client, "installer")
    answer = await client.post("/api/adopt", json={"device": "board-7", "id": id})
    assert (answer.status, (await answer.json())["where"]) == (400, "body.id")


async def test_plugins_are_listed_with_what_is_wrong(client: Browser) -> None:
    await sign_in(client, "installer")
    plugins = (await (await client.get("/api/plugins")).json())["plugins"]
    assert [(plugin["name"], plugin["state"]) for plugin in plugins] == [
        ("console", "ok"),
        ("quiet", "broken"),
    ]
    assert "ImportError" in plugins[1]["error"]


async def test_repairs_are_sentences_in_the_callers_language(client: Browser) -> None:
    client.app[HOUSE].mending = [Repair("disk", "repair.disk", {"folder": "/var", "free": "12"}, "error")]
    await sign_in(client, "installer")
    for language in ("zh-CN", "en"):
        answer = await client.get("/api/repairs", headers={"Accept-Language": language})
        repair = (await answer.json())["repairs"][0]
        assert (repair["key"], repair["severity"]) == ("disk", "error")
        assert "12" in repair["text"]


# ------------------------------------------------------------------------------------------------------------ accounts


async def test_an_account_is_made_and_can_sign_in(client: Browser) -> None:
    await sign_in(client)
    answer = await client.post("/api/accounts", json={"name": "老王", "role": "guard", "password": PASSWORD})
    assert (answer.status, (await answer.json())["manager"]) == (200, False)
    answer = await client.post("/api/login", json={"name": "老王", "password": PASSWORD})
    assert (answer.status, (await answer.json())["role"]) == (200, "guard")


async def test_a_second_committee_account_reads_names_with_its_own_password(client: Browser) -> None:
    await sign_in(client)
    holder = (await (await client.post("/api/people", json={"name": "欧阳娜娜"})).json())["id"]
    await client.post("/api/accounts", json={"name": "chair", "role": "committee", "password": PASSWORD})
    me = await (await client.post("/api/login", json={"name": "chair", "password": PASSWORD})).json()
    assert me["unlocked"] is True
    assert (await (await client.get(f"/api/people/{holder}")).json())["name"] == "欧阳娜娜"


async def test_the_operator_is_a_role_no_account_can_have(client: Browser) -> None:
    await sign_in(client)
    answer = await client.post(
        "/api/accounts", json={"name": "root", "role": "operator", "password": PASSWORD}
    )
    assert answer.status == 400
    answer = await client.post("/api/tokens", json={"name": "root", "role": "operator"})
    assert answer.status == 400


async def test_a_short_password_is_refused_with_how_long_it_must_be(client: Browser) -> None:
    await sign_in(client)
    answer = await client.post("/api/accounts", json={"name": "x", "role": "guard", "password": "short"})
    told = await answer.json()
    assert (answer.status, told["error"]) == (400, "account.password_too_short")
    assert "10" in told["message"]


async def test_two_accounts_do_not_share_a_name(client: Browser) -> None:
    await sign_in(client)
    body = {"name": "Wang", "role": "guard", "password": PASSWORD}
    assert (await client.post("/api/accounts", json=body)).status == 200
    answer = await client.post("/api/accounts", json={**body, "name": " wang "})
    assert (answer.status, (await answer.json())["error"]) == (409, "account.exists")


async def test_a_disabled_account_is_out_at_once(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "guard")
    cookie = next(iter(client.session.cookie_jar)).value
    guard = next(account for account in await house.accounts.list() if account.role == "guard")
    client.session.cookie_jar.clear()
    await sign_in(client)
    assert (await client.post(f"/api/accounts/{guard.id}/state", json={"disabled": True})).status == 200
    client.session.cookie_jar.clear()
    assert (await client.get("/api/me", headers={"Cookie": f"menwei={cookie}"})).status == 401
    assert (await client.post("/api/login", json={"name": "the guard", "password": PASSWORD})).status == 401


async def test_disabling_an_account_revokes_the_tokens_it_made_and_says_which(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client)
    await client.post("/api/tokens", json={"name": "backup", "role": "guard"})
    leaver = await (
        await client.post("/api/accounts", json={"name": "leaver", "role": "committee", "password": PASSWORD})
    ).json()
    me = await (await client.post("/api/login", json={"name": "leaver", "password": PASSWORD})).json()
    headers = {"X-CSRF-Token": me["csrf"]}
    made = await (
        await client.post("/api/tokens", json={"name": "printer", "role": "committee"}, headers=headers)
    ).json()
    assert made["token"]["made_by"] == leaver["id"]
    client.session.cookie_jar.clear()
    await sign_in(client)
    answer = await client.post(f"/api/accounts/{leaver['id']}/state", json={"disabled": True})
    assert (await answer.json())["revoked"] == ["printer"]
    answer = await client.get("/api/doors", headers={"Authorization": f"Bearer {made['secret']}"})
    assert answer.status == 401
    left = (await (await client.get("/api/tokens")).json())["tokens"]
    assert [(token["name"], token["made_by"]) for token in left] == [
        ("backup", (await house.accounts.list())[0].id)
    ]
    told = [entry for entry in await house.audits() if entry["action"] == "token.revoke"]
    assert [(entry["token"], entry["name"], entry["actor"]) for entry in told] == [
        (made["token"]["id"], "printer", "admin")
    ]


async def test_nobody_locks_themselves_out(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client)
    admin = next(iter(await house.accounts.list()))
    answer = await client.post(f"/api/accounts/{admin.id}/state", json={"disabled": True})
    assert (answer.status, (await answer.json())["error"]) == (409, "web.own_account")


async def test_a_changed_password_ends_the_other_sessions_and_keeps_this_one(client: Browser) -> None:
    house = client.app[HOUSE]
    other = await house.accounts.login("admin", house.first_password, "elsewhere")
    await sign_in(client)
    answer = await client.post(
        "/api/password", json={"old": house.first_password, "new": "a quite new password"}
    )
    assert answer.status == 200
    assert (await client.get("/api/me")).status == 200
    assert await house.accounts.session(other.token) is None


async def test_a_password_is_not_changed_without_the_old_one(client: Browser) -> None:
    await sign_in(client)
    answer = await client.post("/api/password", json={"old": "wrong", "new": "a quite new password"})
    assert (answer.status, (await answer.json())["error"]) == (401, "web.login_refused")


async def test_wrong_passwords_of_others_at_the_same_desk_do_not_keep_the_committee_from_unlocking(
    client: Browser,
) -> None:
    house = client.app[HOUSE]
    await sign_in(client)
    for _ in range(5):
        with pytest.raises(LoginRefused):
            await house.accounts.login("admin", "wrong password", "127.0.0.1")
    async with ClientSession() as desk:
        body = {"name": "admin", "password": house.first_password}
        assert (await desk.post(client.make_url("/api/login"), json=body)).status == 429
    assert (await client.post("/api/unlock", json={"password": house.first_password})).status == 200


async def test_a_tokens_secret_is_in_one_answer_and_in_no_list(client: Browser) -> None:
    await sign_in(client)
    made = await (
        await client.post("/api/tokens", json={"name": "wall", "role": "guard", "scope": ["doors"]})
    ).json()
    assert made["secret"].startswith("mw_")
    text = await (await client.get("/api/tokens")).text()
    assert "wall" in text
    assert made["secret"] not in text
    assert made["secret"] not in str(await client.app[HOUSE].audits())


async def test_a_token_ends_after_its_last_day(client: Browser) -> None:
    house = client.app[HOUSE]
    now = house.clock.now()
    for expires, status in ((now + 60, 200), (now - 60, 401)):
        _, secret = await house.accounts.tokens.create("wall", "guard", expires=expires)
        answer = await client.get("/api/doors", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status == status


async def test_a_token_is_made_until_today_but_not_until_a_day_gone_by(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client)
    today = datetime.fromtimestamp(house.clock.now(), house.site.zone).date()
    for day, status in ((today, 200), (today - timedelta(days=1), 400)):
        body = {"name": "wall", "role": "guard", "last_day": day.isoformat()}
        answer = await client.post("/api/tokens", json=body)
        assert answer.status == status
    told = await answer.json()
    assert (told["error"], told["where"]) == ("web.day_gone", "body.last_day")
    assert len(await house.accounts.tokens.all()) == 1


async def test_a_token_is_revoked_once(client: Browser) -> None:
    await sign_in(client)
    made = await (await client.post("/api/tokens", json={"name": "wall", "role": "guard"})).json()
    path = f"/api/tokens/{made['token']['id']}/revoke"
    assert (await client.post(path)).status == 200
    assert (await client.post(path)).status == 404
