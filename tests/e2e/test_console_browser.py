"""The console in a real browser: each page, both languages, three widths, light and dark, with axe; and its stories."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from browser_site import LOOKS, BrowserSite, chromium, needs_browser, served, troubles
from menwei.context import Repair
from menwei.journal import Entry
from menwei.model import (
    Actor,
    CredentialIdentifier,
    CredentialState,
    DoorAlarm,
    DoorMode,
    DoorState,
    IdentifierType,
)
from menwei_console import register_routes
from small_house import PASSWORD, SmallHouse

pytestmark = needs_browser("the console is")
ACTOR = Actor("admin", "committee")
CLOCKS = {"machine": "1970-01-01 08:00", "trusted": "2026-11-22 13:00"}


@dataclass
class Site(BrowserSite):
    """The small house, and somebody who lives there, once it is `lived_in`."""

    house: SmallHouse
    holder: int = 0


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with await SmallHouse.open(tmp_path) as house:
        for role in ("guard", "registrar", "installer", "auditor"):
            await house.accounts.create(role, role, PASSWORD)
        async with served(house, register_routes()) as url, chromium() as browser:
            opened = Site(house, url, browser)
            yield opened
        assert opened.complaints == []


async def lived_in(site: Site) -> None:
    """People, passages, an alarm, a dark door, something to mend: pages as they look after a week."""
    house, now = site.house, site.house.clock.now()
    card = CredentialIdentifier(IdentifierType.CARD, "uid", "04A1B2C3")
    site.holder = await house.people.add(
        "欧阳娜娜", external_id="1-101", cards=[card], profiles=["residents"], label="蓝色门卡", actor=ACTOR
    )
    await house.people.add(
        "Maria Magdalena Gonzalez-Fernandez de la Fuente", external_id="2-405", actor=ACTOR
    )
    checks = [{"reason": "CredentialExpired", "says": "door.expired", "by": "core", "detail": ""}]
    for kind, door, point, data in (
        ("AccessGranted", "gate", "gate-in", {}),
        ("AccessDenied", "unit", "unit-in", {"checks": checks}),
        ("DoorAlarm", "unit", "", {"alarm": "DoorForcedOpen", "was": "Normal"}),
        ("DoorCommand", "gate", "", {"mode": "Accessed", "role": "guard", "by": "account", "refused": ""}),
    ):
        await house.journal.record(Entry(kind, now, door, point, data, {"holder": site.holder}), 10)
    house.doors["unit"].state, house.doors["unit"].alarm = DoorState.OPEN, DoorAlarm.DOOR_FORCED_OPEN
    house.doors["flat"].online = False
    house.mending = [Repair("clock", "repair.clock", CLOCKS, "error")]
    await house.accounts.tokens.create("wall display", "guard")


def pages(site: Site) -> dict[str, list[str]]:
    person = f"/people/{site.holder}"
    return {
        "": ["/login"],
        "admin": [
            "/", "/doors/unit", "/doors/gate/open", "/people", "/people/new", person,
            f"{person}/edit", f"{person}/check", f"{person}/passages", "/devices",
            "/devices/adopt?id=board-7", "/system", "/accounts", "/audit", "/account", "/nowhere",
        ],
        "guard": ["/", "/doors/gate"],
        "registrar": ["/people", person, f"{person}/edit"],
    }  # fmt: skip


@pytest.mark.parametrize(("language", "width", "scheme"), LOOKS)
async def test_every_page_is_accessible_and_fits(site: Site, language: str, width: int, scheme: str) -> None:
    await lived_in(site)
    found = []
    for name, paths in pages(site).items():
        async with site.page(name, language, width, scheme) as page:
            for path in paths:
                await page.goto(path)
                await page.wait_for_load_state("load")
                assert await page.get_attribute("html", "lang") == language
                found += await troubles(page, f"{name} {path}")
    site.expect_complaint("404")  # /nowhere is not there
    assert found == []


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_the_open_dialog_is_accessible(site: Site, language: str) -> None:
    async with site.page("guard", language, 360) as page:
        await page.click("[data-open=gate]")
        assert await page.locator("dialog[open]").count() == 1
        assert await troubles(page, page.url) == []


async def test_a_guard_opens_a_door_with_two_taps_and_sees_it_go_by(site: Site) -> None:
    async with site.page("guard", width=390) as page:
        await page.click("[data-open=gate]")
        await page.click("dialog button:has-text('快递外卖')")
        await expect(page.locator("dialog [role=alert]")).to_have_class("notice good")
        await expect(page.locator(".passages li").first).to_contain_text("值班员操作：已放行")
        await expect(page.locator(".card.door", has_text="小区门")).to_contain_text("已放行")
        await page.wait_for_selector("dialog:not([open])", state="attached")
    assert site.house.devices.done == [("board", "1", "access")]


async def test_a_guard_opens_a_door_with_a_reason_of_their_own(site: Site) -> None:
    async with site.page("guard", "en") as page:
        await page.click("[data-open=unit]")
        await page.fill("dialog input[name=reason]", "a sofa is being carried in")
        await page.click("dialog form.sheet button")
        await expect(page.locator("dialog [role=alert]")).to_have_class("notice good")
    entry = (await site.house.journal.read(kinds={"DoorCommand"}, personal=True))[0]
    assert entry.personal == {"actor": "guard", "reason": "a sofa is being carried in"}


async def test_a_door_that_does_not_answer_is_told_in_the_dialog(site: Site) -> None:
    site.house.devices.silent = True
    async with site.page("guard") as page:
        await page.click("[data-open=gate]")
        await page.click("dialog button:has-text('紧急情况')")
        await expect(page.locator("dialog [role=alert]")).to_have_class("notice bad")
    site.expect_complaint("409")


async def test_passages_arrive_live_and_the_stream_resumes_where_it_was_cut(site: Site) -> None:
    async def passes() -> None:
        await site.house.journal.record(Entry("AccessGranted", site.house.clock.now(), "gate", "gate-in"), 10)

    async with site.page("guard") as page:
        await expect(page.locator(".live")).to_have_attribute("data-state", "on")
        await passes()
        await expect(page.locator(".passages li p")).to_have_count(1)
        await page.context.set_offline(True)
        await page.evaluate("1")
        await passes()
        await passes()
        await page.context.set_offline(False)
        await passes()
        await expect(page.locator(".passages li p")).to_have_count(4)
    site.expect_complaint("ERR_")


async def sign_out_everywhere(site: Site) -> None:
    (admin,) = [account for account in await site.house.accounts.list() if account.name == "admin"]
    await site.house.accounts.revoke_all(admin.id)


async def test_whoever_is_signed_out_elsewhere_is_led_to_signing_in_and_back(site: Site) -> None:
    async with site.page("admin") as page:
        await page.goto("/doors/gate")
        await expect(page.locator(".live")).to_have_attribute("data-state", "on")
        await sign_out_everywhere(site)
        await page.wait_for_url("**/login?next=*")
        await page.fill("[name=name]", "admin")
        await page.fill("[name=password]", site.house.first_password)
        await page.click("form button:has-text('登录')")
        await page.wait_for_url("**/doors/gate")


async def test_a_stream_that_is_refused_leads_to_signing_in(site: Site) -> None:
    async def refuse(route: Route) -> None:
        await sign_out_everywhere(site)
        await route.fulfill(status=401)

    async with site.page("admin") as page:
        await page.route("**/api/events*", refuse)
        await page.goto("/doors/gate")
        await page.wait_for_url("**/login?next=*")
    site.expect_complaint("401")


async def test_a_changed_door_changes_its_card(site: Site) -> None:
    async with site.page("guard") as page:
        await expect(page.locator(".live")).to_have_attribute("data-state", "on")
        site.house.doors["unit"].contact(DoorState.OPEN)
        await expect(page.locator(".card.door.bad")).to_contain_text("强行开门")


async def test_without_javascript_a_guard_still_opens_a_door(site: Site) -> None:
    async with site.page("guard", java_script_enabled=False) as page:
        await page.click("[data-open=gate]")
        await page.click("button:has-text('访客已核实')")
        await page.wait_for_url(site.url + "/")
        await expect(page.locator(".passages li").first).to_contain_text("值班员操作")
        assert await page.locator("[data-refresh]").is_visible()
    assert site.house.devices.done == [("board", "1", "access")]


async def test_without_javascript_a_refused_form_says_why_once(site: Site) -> None:
    site.house.devices.silent = True
    async with site.page("guard", java_script_enabled=False) as page:
        await page.goto("/doors/gate/open")
        await page.click("button:has-text('施工维修')")
        await expect(page.locator("[role=alert]")).to_contain_text("没有响应")
        await page.goto("/")
        assert await page.locator("[role=alert]:has-text('没有响应')").count() == 0


async def test_the_committee_enters_a_person_and_enrols_a_card_by_touch(site: Site) -> None:
    async with site.page("admin") as page:
        await page.goto("/people/new")
        await page.fill("[name=name]", "张三")
        await page.fill("[name=external_id]", "3-302")
        await page.click("form.sheet button:not([type=button])")
        await expect(page.locator("h1")).to_have_text("张三")
        await page.select_option("[name=reader]", "board/unit")
        await page.fill("[name=label]", "蓝卡")
        await page.click("menwei-capture form.sheet > button")
        await expect(page.locator("dialog[open]")).to_contain_text("请在读卡器上刷卡")
        await expect(page.locator("dialog[open] [data-reader]")).to_have_text("1号楼单元门")
        await site.house.devices.touch("unit", "04D1E2F3")
        await expect(page.locator("#credentials + ul")).to_contain_text("蓝卡")
    people = await site.house.people.list()
    assert [credential.profiles for credential in people[0].credentials] == [("residents",)]


async def test_a_card_that_nobody_touches_is_told_and_the_form_stays(site: Site) -> None:
    await lived_in(site)
    async with site.page("registrar") as page:
        await page.goto(f"/people/{site.holder}")
        await page.evaluate("document.querySelector('[name=seconds]').value = 1")
        await page.fill("[name=label]", "备用卡")
        await page.click("menwei-capture form.sheet > button")
        await expect(page.locator("menwei-capture [role=alert]")).to_contain_text("没有读到卡")
        assert await page.input_value("menwei-capture [name=label]") == "备用卡"
    site.expect_complaint("409")


async def test_giving_up_an_enrolment_makes_the_next_touch_a_passage_again(site: Site) -> None:
    await lived_in(site)
    async with site.page("registrar") as page:
        await page.goto(f"/people/{site.holder}")
        await page.click("menwei-capture form.sheet > button")
        await expect(page.locator("dialog[open]")).to_be_visible()
        async with asyncio.timeout(60):
            while not site.house.devices.captures:
                await asyncio.sleep(0.02)
        await page.click("dialog[open] button")
        async with asyncio.timeout(60):
            while site.house.devices.captures:
                await asyncio.sleep(0.02)


async def test_a_lost_card_is_reported_and_restored(site: Site) -> None:
    await lived_in(site)
    async with site.page("registrar", width=390) as page:
        await page.goto(f"/people/{site.holder}")
        await page.click("button:has-text('挂失')")
        await expect(page.locator("#credentials + ul .pill").first).to_have_text("已挂失")
        assert site.house.rights.snapshot.of_holder(site.holder)[0].state is CredentialState.LOST
        await page.click("button:has-text('解挂')")
        await expect(page.locator("#credentials + ul .pill").first).to_have_text("正常")


async def test_a_person_is_ended_only_after_a_question(site: Site) -> None:
    await lived_in(site)
    async with site.page("admin", "en") as page:
        await page.goto(f"/people/{site.holder}")
        page.once("dialog", lambda dialog: asyncio.ensure_future(dialog.dismiss()))
        await page.click("button:has-text('End all rights')")
        assert site.house.rights.snapshot.of_holder(site.holder)[0].state is CredentialState.ENABLED
        page.once("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
        await page.click("button:has-text('End all rights')")
        await page.wait_for_url(site.url + "/people")
    assert site.house.rights.snapshot.of_holder(site.holder)[0].state is CredentialState.ENDED


async def test_a_registrar_sees_numbers_where_names_are_sealed(site: Site) -> None:
    await lived_in(site)
    async with site.page("registrar") as page:
        await page.goto("/people")
        assert "欧阳" not in await page.content()
        await page.fill("[name=search]", "1-101")
        await page.press("[name=search]", "Enter")
        await expect(page.locator(".list li")).to_have_count(1)


async def test_an_installer_adopts_a_discovered_device_with_a_door(site: Site) -> None:
    async with site.page("installer", "en") as page:
        await page.goto("/devices")
        await page.click("a:has-text('Adopt')")
        await page.click("button:has-text('Test the connection')")
        await expect(page.locator("[role=status]")).to_have_text("The device answers")
        assert await troubles(page, page.url) == []
        await page.fill("[name=name-0]", "Bicycle cellar")
        await page.select_option("[name=in-0]", "out")
        await page.click("form.sheet button:has-text('Adopt')")
        await page.wait_for_url(site.url + "/devices")
    device, id, doors = site.house.adopted[0]
    assert (device, id, [(door.name, door.lock) for door in doors]) == (
        "board-7",
        "board-7",
        [("Bicycle cellar", "1")],
    )
    assert dict(doors[0].access_points) == {"board-7-1-in": "out"}


async def test_an_auditor_verifies_the_journal(site: Site) -> None:
    async with site.page("auditor") as page:
        await expect(page.locator("h1")).to_have_text("审计")
        await page.click("form.sheet button")
        await expect(page.locator("[role=alert]")).to_contain_text("日志完整")


async def test_a_tokens_secret_is_shown_once(site: Site) -> None:
    async with site.page("admin") as page:
        await page.goto("/accounts")
        await page.fill("form[action^='/api/tokens?'] [name=name]", "大屏")
        await page.click("form[action^='/api/tokens?'] button")
        await expect(page.locator("[data-secret]")).to_contain_text("mw_")
        secret = await page.inner_text("[data-secret]")
        await page.reload()
        assert secret not in await page.content()
        await expect(page.locator("main")).to_contain_text("大屏")
    assert await site.house.accounts.tokens.find(secret) is not None


@pytest.mark.parametrize(("language", "scheme"), [("zh-CN", "light"), ("en", "dark")])
async def test_why_somebody_would_not_pass_is_one_accessible_page(
    site: Site, language: str, scheme: str
) -> None:
    await lived_in(site)
    credential = site.house.rights.snapshot.of_holder(site.holder)[0].id
    await site.house.people.set_state(credential, CredentialState.LOST, actor=ACTOR)
    async with site.page("registrar", language, 360, scheme) as page:
        await page.goto(f"/people/{site.holder}")
        await page.select_option("[name=access_point]", "unit-in")
        await page.click("form[action$='/check'] button")
        await expect(page.locator(".findings li")).to_have_count(1)
        said = site.house.messages.t(language, "reason.CredentialNotEnabled")
        await expect(page.locator(".findings")).to_contain_text(said)
        assert await troubles(page, page.url) == []


async def test_a_doors_journal_is_downloaded(site: Site, tmp_path: Path) -> None:
    await lived_in(site)
    async with site.page("admin") as page:
        await page.goto("/doors/gate")
        await page.click("summary:has-text('导出')")
        await page.fill("details [name=reason]", "季度检查")
        async with page.expect_download() as started:
            await page.click("details button:has-text('下载')")
        await (await started.value).save_as(tmp_path / "gate.ndjson")
    entries = [json.loads(line) for line in (tmp_path / "gate.ndjson").read_text().splitlines()]
    assert {entry["door"] for entry in entries} == {"gate"}


async def test_a_guards_password_is_reset_from_the_page(site: Site) -> None:
    async with site.page("admin") as page:
        await page.goto("/accounts")
        row = page.locator("li:has(strong:text-is('guard'))")
        await row.locator("summary").click()
        await row.locator("[name=password]").fill("short")
        await row.locator("details button").click()
        assert await page.evaluate("document.activeElement.name") == "password"  # the browser holds it back
        await row.locator("[name=password]").fill("a quite new password")
        await row.locator("details button").click()
        await expect(row.locator(".notice.good")).to_contain_text("密码已重设")
    session = await site.house.accounts.login("guard", "a quite new password", "here")
    assert session.account.name == "guard"


async def test_a_guard_is_disabled_from_the_page(site: Site) -> None:
    async with site.page("admin") as page:
        await page.goto("/accounts")
        await page.click("li:has(strong:text-is('guard')) form[action*='/state'] button")
        await expect(page.locator("li:has(strong:text-is('guard'))")).to_contain_text("已停用")
    assert [a.disabled for a in await site.house.accounts.list() if a.name == "guard"] == [True]


async def test_the_language_is_switched_and_kept(site: Site) -> None:
    async with site.page("guard") as page:
        await page.click("button:has-text('English')")
        await expect(page.locator("h1")).to_have_text("Doors")
        await page.goto("/account")
        assert await page.get_attribute("html", "lang") == "en"


async def test_a_wrong_password_is_told_and_the_name_stays(site: Site) -> None:
    async with site.page() as page:
        await page.goto("/login")
        await page.fill("[name=name]", "guard")
        await page.fill("[name=password]", "wrong")
        await page.click("form button:has-text('登录')")
        await expect(page.locator("[role=alert]")).to_contain_text("用户名或密码不正确")
        assert await page.input_value("[name=name]") == "guard"
    site.expect_complaint("401")


async def test_a_locked_door_of_a_page_leads_through_the_sign_in_and_back(site: Site) -> None:
    async with site.page() as page:
        await page.goto("/doors/gate")
        await page.fill("[name=name]", "guard")
        await page.fill("[name=password]", PASSWORD)
        await page.click("form button:has-text('登录')")
        await expect(page.locator("h1")).to_have_text("小区门")


async def test_a_page_of_another_role_is_refused_in_words(site: Site) -> None:
    async with site.page("guard") as page:
        answer = await page.goto("/people")
        assert answer is not None
        assert answer.status == 403
        await expect(page.locator("h1")).to_have_text("您的角色不能进行此操作")
    site.expect_complaint("403")


async def test_a_name_full_of_markup_is_only_text(site: Site) -> None:
    name = "<img src=x onerror=alert(1)>{{7*7}}"
    await site.house.people.add(name, actor=ACTOR)
    async with site.page("admin") as page:
        await page.goto("/people")
        await expect(page.locator(".list li")).to_contain_text(name)
        assert await page.locator(".list img").count() == 0


async def test_a_door_is_locked_down_from_its_page(site: Site) -> None:
    async with site.page("admin") as page:
        await page.goto("/doors/gate")
        await page.select_option("[name=mode]", "LockedDown")
        await page.fill("[name=reason]", "演练")
        await page.click("form.sheet button")
        await expect(page.locator("dl.facts")).to_contain_text("封锁")
    assert site.house.doors["gate"].mode is DoorMode.LOCKED_DOWN
