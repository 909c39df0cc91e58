"""What the console's pages do without a browser: forms sent as a browser sends them, and what stands on the next page."""

# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from menwei.callers import CSRF_HEADER
from menwei.journal import Entry
from menwei.model import (
    Actor,
    CredentialIdentifier,
    CredentialState,
    Document,
    DocumentKind,
    IdentifierType,
)
from menwei.supervisor import DeviceState
from small_house import HOUSE, PASSWORD, SmallHouse, client, empty_house, house, sign_in  # noqa: F401

Browser = TestClient[Any, Any]
ACTOR = Actor("admin", "committee")
REASON = "邻居来值班室询问"


async def see(browser: Browser, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status == status, await answer.text()
    return unescape(await answer.text())


async def send(browser: Browser, path: str, **fields: str) -> Any:
    """A form of a page, with the page's own token and no script."""
    token = browser.session.headers[CSRF_HEADER]
    return await browser.post(path, data={"_csrf": token, **fields}, headers={"Accept": "text/html"})


async def page_after(browser: Browser, path: str, **fields: str) -> str:
    answer = await send(browser, path, **fields)
    assert answer.status == 200, await answer.text()
    return unescape(await answer.text())


async def resident(house: SmallHouse, **more: Any) -> int:
    card = CredentialIdentifier(IdentifierType.CARD, "uid", "04A1B2C3")
    given = {
        "external_id": "1-101",
        "phone": "13800138000",
        "label": "蓝色门卡",
        "profiles": ["residents"],
        **more,
    }
    return await house.people.add("欧阳娜娜", cards=[card], actor=ACTOR, **given)


def options(page: str, name: str) -> list[str]:
    found = re.search(rf'<select name="{name}".*?</select>', page, re.DOTALL)
    assert found is not None
    return re.findall(r"<option[^>]*>([^<]*)</option>", found[0])


def value(page: str, name: str) -> str:
    found = re.search(rf'<input name="{name}"[^>]*?value="([^"]*)"', page)
    assert found is not None
    return found[1]


# ---------------------------------------------------------------------------------------------------- finding them


async def test_somebody_is_found_by_name_and_the_name_stands_in_no_address(
    client: Browser, house: SmallHouse
) -> None:
    await resident(house)
    await house.people.add("张三", actor=ACTOR)
    await sign_in(client)
    await client.post("/api/unlock", json={"password": PASSWORD})
    answer = await send(client, "/people", search="欧阳")
    page = unescape(await answer.text())
    assert "欧阳娜娜" in page
    assert "张三" not in page
    assert str(answer.url.relative()) == "/people"
    assert 'method="get"' not in page


async def test_the_next_page_of_what_was_found_is_asked_for_by_a_form(
    client: Browser, house: SmallHouse
) -> None:
    for _ in range(60):
        await house.people.add("欧阳", actor=ACTOR)
    await sign_in(client)
    await client.post("/api/unlock", json={"password": PASSWORD})
    page = await page_after(client, "/people", search="欧阳")
    after = re.search(r'name="after" value="(\d+)"', page)
    assert after is not None
    onward = await page_after(client, "/people", search="欧阳", after=after[1])
    shown = re.findall(r'href="/people/(\d+)"', page + onward)
    assert len(set(shown)) == len(shown) == 60


async def test_pages_are_for_people_and_a_program_is_told_so(client: Browser, house: SmallHouse) -> None:
    await sign_in(client)
    made = await (await client.post("/api/tokens", json={"name": "bms", "role": "committee"})).json()
    client.session.cookie_jar.clear()
    for path in ("/people", "/account"):
        answer = await client.get(path, headers={"Authorization": f"Bearer {made['secret']}"})
        assert answer.status == 403


# ------------------------------------------------------------------------------------------------ would they pass


async def test_a_registrar_is_told_that_a_resident_would_pass(client: Browser, house: SmallHouse) -> None:
    holder = await resident(house)
    await sign_in(client, "registrar")
    page = await page_after(client, f"/people/{holder}/check", access_point="gate-in", at="")
    assert "没有任何不通过的原因" in page
    assert "小区门 · 进" in page


async def test_every_reason_against_each_credential_is_shown(client: Browser, house: SmallHouse) -> None:
    holder = await resident(
        house, valid_to=house.clock.now() - 60, valid_from=house.clock.now() - 90, profiles=[]
    )
    credential = house.rights.snapshot.of_holder(holder)[0].id
    await house.people.set_state(credential, CredentialState.LOST, actor=ACTOR)
    await sign_in(client)
    page = await page_after(client, f"/people/{holder}/check", access_point="unit-in")
    asked = {"holder": holder, "access_point": "unit-in"}
    told = await (await client.post("/api/explain", json=asked)).json()
    reasons = {check["reason"] for check in told["findings"][0]["checks"]}
    assert reasons
    assert "不能通行" in page
    assert "蓝色门卡" in page
    for check in told["findings"][0]["checks"]:
        assert house.messages.t("zh-CN", f"reason.{check['reason']}") in page
        assert check["text"] in page


async def test_a_time_without_a_zone_is_the_sites(client: Browser, house: SmallHouse) -> None:
    holder = await resident(house)
    await sign_in(client)
    page = await page_after(client, f"/people/{holder}/check", access_point="gate-in", at="2020-01-02T03:04")
    assert "2020-01-02 03:04" in page
    assert house.messages.t("zh-CN", "reason.CredentialNotActive") in page


async def test_whoever_has_no_credential_is_told_so_on_the_page(client: Browser, house: SmallHouse) -> None:
    holder = await house.people.add("张三", actor=ACTOR)
    await sign_in(client)
    assert "此人没有任何凭证" in await page_after(client, f"/people/{holder}/check", access_point="gate-in")


# ---------------------------------------------------------------------------------------------- one's passages


async def test_ones_passages_are_shown_only_for_a_reason_which_is_recorded(
    client: Browser, house: SmallHouse
) -> None:
    holder = await resident(house)
    await house.journal.record(
        Entry("AccessGranted", house.clock.now(), "gate", "gate-in", {}, {"holder": holder}), 10
    )
    await sign_in(client)
    page = await see(client, f"/people/{holder}/passages")
    assert "小区门 · 进" not in page
    page = await page_after(client, f"/people/{holder}/passages", reason="短")
    assert "小区门 · 进" not in page
    assert not [audit for audit in await house.audits() if audit["action"] == "journal.by_holder"]
    page = await page_after(client, f"/people/{holder}/passages", reason=REASON)
    assert "小区门 · 进" in page
    assert REASON in page
    audits = [audit for audit in await house.audits() if audit["action"] == "journal.by_holder"]
    assert [(audit["holder"], audit["reason"], audit["actor"]) for audit in audits] == [
        (holder, REASON, "admin")
    ]


async def test_a_registrar_is_offered_nobodys_passages_and_gets_none(
    client: Browser, house: SmallHouse
) -> None:
    holder = await resident(house)
    await sign_in(client, "registrar")
    assert f"/people/{holder}/passages" not in await see(client, f"/people/{holder}")
    await see(client, f"/people/{holder}/passages", 403)
    assert (await send(client, f"/people/{holder}/passages", reason=REASON)).status == 403


# ----------------------------------------------------------------------------------------------- export and verify


async def test_a_doors_journal_is_exported_as_json_lines_with_a_reason(
    client: Browser, house: SmallHouse
) -> None:
    for door in ("gate", "unit"):
        await house.journal.record(
            Entry("AccessGranted", house.clock.now(), door, f"{door}-in", {}, {"holder": 7}), 10
        )
    await sign_in(client)
    answer = await send(client, "/doors/gate/export", reason=REASON, first_day="", last_day="")
    assert (answer.status, answer.content_type) == (200, "application/x-ndjson")
    assert "attachment" in answer.headers["Content-Disposition"]
    entries = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert {entry["door"] for entry in entries} == {"gate"}
    assert all(not entry.get("personal") for entry in entries)
    audit = next(audit for audit in await house.audits() if audit["action"] == "journal.export")
    assert (audit["doors"], audit["reason"]) == (["gate"], REASON)


async def test_an_export_is_bounded_by_whole_days_at_the_site(client: Browser, house: SmallHouse) -> None:
    await house.journal.record(Entry("AccessGranted", house.clock.now(), "gate", "gate-in"), 10)
    await sign_in(client)
    answer = await send(
        client, "/doors/gate/export", reason=REASON, first_day="2020-01-01", last_day="2020-12-31"
    )
    assert (answer.status, await answer.text()) == (200, "")


async def test_a_guard_exports_nothing(client: Browser) -> None:
    await sign_in(client, "guard")
    assert "/export" not in await see(client, "/doors/gate")
    assert (await send(client, "/doors/gate/export", reason=REASON)).status == 403


@pytest.mark.parametrize("role", ["auditor", "committee"])
async def test_the_journal_is_verified_by_who_may(client: Browser, house: SmallHouse, role: str) -> None:
    await house.journal.record(
        Entry("AccessGranted", house.clock.now(), "gate", "gate-in", {}, {"holder": 7}), 10
    )
    await sign_in(client, role)
    page = await page_after(client, "/audit")
    assert "日志完整" in page
    assert house.messages.t("zh-CN", "console.audit.personal") in page


# ---------------------------------------------------------------------------------------------------- correcting


async def test_a_person_is_corrected_and_an_emptied_field_removed(client: Browser, house: SmallHouse) -> None:
    holder = await resident(house, note="带狗")
    await sign_in(client)
    page = await see(client, f"/people/{holder}/edit")
    assert (value(page, "phone"), value(page, "note")) == ("13800138000", "带狗")
    given = {
        "name": "欧阳娜",
        "external_id": "1-102",
        "phone": "",
        "note": "带猫",
        "extended": "true",
        "opened": "true",
    }
    page = await page_after(client, f"/people/{holder}/edit", **given)
    assert "欧阳娜" in page
    person = await (await client.get(f"/api/people/{holder}")).json()
    assert [person[name] for name in ("name", "external_id", "phone", "note", "extended")] == [
        "欧阳娜", "1-102", None, "带猫", True,
    ]  # fmt: skip


async def test_a_registrar_corrects_without_reading_and_removes_nothing_unseen(
    client: Browser, house: SmallHouse
) -> None:
    holder = await resident(house)
    await sign_in(client, "registrar")
    page = await see(client, f"/people/{holder}/edit")
    assert "13800138000" not in page
    assert 'name="opened"' not in page
    await page_after(client, f"/people/{holder}/edit", name="", external_id="", phone="13900139000", note="")
    await sign_in(client)
    person = await (await client.get(f"/api/people/{holder}")).json()
    assert (person["name"], person["external_id"], person["phone"]) == ("欧阳娜娜", "1-101", "13900139000")


async def test_a_refused_correction_says_why_and_keeps_what_was_typed(
    client: Browser, house: SmallHouse
) -> None:
    holder = await resident(house)
    await house.people.add("张三", external_id="2-202", actor=ACTOR)
    await sign_in(client)
    given = {"name": "欧阳娜", "external_id": "2-202", "phone": "1", "note": "", "opened": "true"}
    page = await page_after(client, f"/people/{holder}/edit", **given)
    assert (value(page, "name"), value(page, "phone")) == ("欧阳娜", "1")
    assert re.search(r'<p class="notice bad" role="alert">[^<]+</p>', page)


# ----------------------------------------------------------------------------------------------------- enrolling


async def test_a_reader_at_a_desk_is_offered_first(client: Browser, house: SmallHouse) -> None:
    holder = await resident(house)
    await sign_in(client, "registrar")
    offered = options(await see(client, f"/people/{holder}"), "reader")
    assert offered == ["发卡读卡器 board/desk", "小区门 · 进", "小区门 · 出", "1号楼单元门"]


async def test_two_sides_of_a_door_that_are_called_alike_are_told_apart(
    client: Browser, house: SmallHouse
) -> None:
    holder = await resident(house)
    alike = {id: replace(point, name="") for id, point in house.site.access_points.items()}
    house.site = replace(house.site, access_points=alike)
    await sign_in(client, "registrar")
    page = await see(client, f"/people/{holder}")
    assert options(page, "reader") == [
        "发卡读卡器 board/desk", "小区门（board/in）", "小区门（board/out）", "1号楼单元门",
    ]  # fmt: skip
    assert options(page, "access_point") == ["小区门（gate-in）", "小区门（gate-out）", "1号楼单元门"]
    answer = await page_after(client, f"/people/{holder}/check", access_point="gate-out", at="")
    assert "<dd>小区门（gate-out）</dd>" in answer


# ------------------------------------------------------------------------------------------------------ adopting


async def test_a_device_is_asked_before_anything_is_written(client: Browser, house: SmallHouse) -> None:
    await sign_in(client, "installer")
    page = await page_after(client, "/devices/adopt?id=board-7", step="test")
    assert "设备已应答" in page
    assert options(page, "in-0") == ["无", "in", "out"]
    assert (value(page, "door-0"), value(page, "door-1")) == ("board-7-1", "board-7-2")
    assert house.adopted == []


async def test_each_named_lock_becomes_a_door_with_the_chosen_readers(
    client: Browser, house: SmallHouse
) -> None:
    await sign_in(client, "installer")
    fields = {
        "step": "adopt", "id": "cellar",
        "lock-0": "1", "door-0": "bicycles", "name-0": "自行车库", "in-0": "in", "out-0": "out", "form-0": "unit_door",
        "lock-1": "2", "door-1": "coal", "name-1": "  ", "in-1": "", "out-1": "",
    }  # fmt: skip
    answer = await send(client, "/devices/adopt?id=board-7", **fields)
    assert str(answer.url.path) == "/devices"
    ((device, id, doors),) = house.adopted
    assert (device, id, [door.id for door in doors]) == ("board-7", "cellar", ["bicycles"])
    assert (doors[0].lock, doors[0].form, dict(doors[0].access_points)) == (
        "1",
        "unit_door",
        {"bicycles-in": "in", "bicycles-out": "out"},
    )


async def test_a_device_that_does_not_answer_offers_no_doors(client: Browser, house: SmallHouse) -> None:
    house.devices.silent = True
    await sign_in(client, "installer")
    page = await page_after(client, "/devices/adopt?id=board-7", step="test")
    assert "the stand-in was told to be silent" in page
    assert 'name="lock-0"' not in page


async def test_a_refused_adoption_says_why_and_keeps_what_was_typed(
    client: Browser, house: SmallHouse
) -> None:
    await sign_in(client, "installer")
    fields = {
        "step": "adopt",
        "id": "board",
        "lock-0": "1",
        "door-0": "coal",
        "name-0": "煤库",
        "in-0": "out",
        "out-0": "",
    }
    page = await page_after(client, "/devices/adopt?id=board-7", **fields)
    assert (value(page, "id"), value(page, "name-0")) == ("board", "煤库")
    assert re.search(r'<select name="in-0">.*?<option selected>out</option>', page)
    assert "未能接入" in page
    assert house.adopted == []


async def test_what_is_not_discovered_can_not_be_tested(client: Browser) -> None:
    await sign_in(client, "installer")
    assert (await send(client, "/devices/adopt?id=nothing", step="test")).status == 404


# ------------------------------------------------------------------------------------------------------ accounts


async def test_the_committee_resets_a_guards_password_without_a_script(
    client: Browser, house: SmallHouse
) -> None:
    guard = await house.accounts.create("老王", "guard", PASSWORD)
    me = await sign_in(client)
    page = await see(client, "/accounts")
    assert f"/api/accounts/{guard.id}/password" in page
    own = next(account.id for account in await house.accounts.list() if account.name == me.name)
    assert f"/api/accounts/{own}/password" not in page
    await page_after(
        client, f"/api/accounts/{guard.id}/password?_next=/accounts", password="a quite new password"
    )
    session = await house.accounts.login("老王", "a quite new password", "here")
    assert session.account.id == guard.id


async def test_the_committee_sees_who_made_a_token_and_what_goes_with_an_account(
    client: Browser, house: SmallHouse
) -> None:
    chair = await house.accounts.create("老王", "guard", PASSWORD)
    await house.accounts.tokens.create("显示屏", "guard", made_by=chair.id)
    await house.accounts.tokens.create("备份", "auditor")
    await sign_in(client)
    page = await see(client, "/accounts")
    assert page.count("由 老王 新建") == page.count("由 ") == 1
    assert "新建了 1 个令牌，停用时一并作废" in page
    assert page.count("data-confirm") == 1
    await page_after(client, f"/api/accounts/{chair.id}/state?_next=/accounts", disabled="true")
    page = await see(client, "/accounts")
    assert "显示屏" not in page
    assert "备份" in page
    assert "data-confirm" not in page


# ------------------------------------------------------------------------------------------------ identity documents


async def test_a_desk_with_a_document_reader_offers_to_read_one(client: Browser, house: SmallHouse) -> None:
    holder = await resident(house)
    await sign_in(client, "registrar")
    for path in ("/people/new", f"/people/{holder}"):
        page = await see(client, path)
        assert "读身份证" in page
        assert '<option value="board/documents">' in page
    enrolling = (await see(client, f"/people/{holder}")).split("menwei-capture")[1]
    assert "board/documents" not in enrolling


async def test_without_a_document_reader_nothing_is_offered(
    client: Browser, house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = await resident(house)
    await sign_in(client, "registrar")
    monkeypatch.setattr(house.supervisor, "board", DeviceState.RETRYING)
    for path in ("/people/new", f"/people/{holder}"):
        assert "读身份证" not in await see(client, path)


async def test_the_end_of_the_documents_number_is_shown_with_the_person(
    client: Browser, house: SmallHouse
) -> None:
    read = Document(DocumentKind.RESIDENT_CARD, "张三丰", "110105194912310021")
    held = await house.people.documents.hold(read, ACTOR)
    holder = await house.people.add("张三丰", document=held.handle, actor=ACTOR)
    await sign_in(client, "registrar")
    page = await see(client, f"/people/{holder}")
    assert re.search(r"证件尾号</dt><dd>0021<", page)
    assert "11010519491231" not in page
