"""The ID reader at the enrolment desk: the program itself, its driver, and our own SAM in another process (no real
reader has answered to these tests)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar
from playwright.async_api import expect

from browser_site import CHROMIUM, BrowserSite, chromium
from menwei.callers import CSRF_HEADER
from menwei.keys import WrapCost
from menwei.serving import Serving, serving
from menwei.supervisor import DeviceState
from menwei.testing.proxies import SerialProxy
from peers.sam import Sam, citizen_number, resident
from small_house import PASSWORD

pytest.importorskip("serial", reason="pyserial is not installed: pip install 'menwei[idreader]'")
pytest.importorskip("stdnum", reason="python-stdnum is not installed: pip install 'menwei[idreader]'")
pytestmark = pytest.mark.e2e

NUMBER = citizen_number("11010519491231002")
CARD = resident("张三丰", NUMBER)
CONFIG = """\
site: {{id: yard, name: 示范小区}}
data: var
plugins: {{console: , simulator: , idreader: }}
devices:
  sim: {{driver: simulator, host: 127.0.0.1, port: 9}}
  desk-1: {{driver: idreader, port: {port}}}
doors:
  gate: {{lock: sim/1, access_points: {{gate-in: {{readers: [sim/in]}}}}}}
"""


@dataclass
class Desk:
    site: Serving
    sam: Sam
    wire: SerialProxy

    @asynccontextmanager
    async def registrar(self) -> AsyncIterator[ClientSession]:
        await self.site.house.accounts.create("deng", "registrar", PASSWORD)
        async with ClientSession(self.site.server.url, cookie_jar=CookieJar(unsafe=True)) as session:
            answer = await session.post("/api/login", json={"name": "deng", "password": PASSWORD})
            session.headers[CSRF_HEADER] = (await answer.json())["csrf"]
            yield session


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr("menwei.accounts.WrapCost", lambda: WrapCost(1, 8, 1))
    async with SerialProxy() as wire, Sam(wire.device_path) as sam:
        (tmp_path / "config.yaml").write_text(CONFIG.format(port=wire.host_path), "utf-8")
        async with serving(tmp_path / "config.yaml", port=0) as site:
            async with asyncio.timeout(60):
                while site.house.supervisor.state("desk-1") is not DeviceState.READY:
                    await asyncio.sleep(0.05)
            yield Desk(site, sam, wire)


async def post(session: ClientSession, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = await session.post(path, json=body)
    text = await answer.text()
    assert answer.status == status, text
    assert NUMBER not in text
    return dict(await answer.json())


async def test_a_card_on_the_reader_becomes_a_person_known_by_it(desk: Desk, tmp_path: Path) -> None:
    async with desk.registrar() as session:
        readers = (await (await session.get("/api/document-readers")).json())["readers"]
        assert [reader["id"] for reader in readers] == ["desk-1/desk"]
        asking = asyncio.create_task(post(session, "/api/documents/capture", reader="desk-1/desk"))
        await desk.sam.lay(CARD)
        found = await asking
        assert (found["name"], found["last_four"]) == ("张三丰", NUMBER[-4:])
        made = await post(session, "/api/people", name=found["name"], document=found["handle"])
        await desk.sam.lift()
        again = asyncio.create_task(post(session, "/api/documents/capture", reader="desk-1/desk"))
        await desk.sam.lay(CARD)
        assert (await again)["holders"] == [made["id"]]
    journal = [
        entry
        for entry in await desk.site.house.journal.read(kinds={"Audit"}, personal=True)
        if entry.data["action"] == "document.read"
    ]
    assert len(journal) == 2
    assert NUMBER not in repr(journal)
    kept = b"".join(file.read_bytes() for file in (tmp_path / "var").rglob("*") if file.is_file())
    for secret in (NUMBER, "张三丰", "北京市朝阳区"):
        assert secret.encode() not in kept
        assert secret.encode("utf-16-le") not in kept


async def test_a_reader_that_was_unplugged_is_told_to_the_desk(desk: Desk) -> None:
    async with desk.registrar() as session:
        desk.wire.unplug()
        async with asyncio.timeout(60):
            while desk.site.house.supervisor.state("desk-1") is DeviceState.READY:
                await asyncio.sleep(0.05)
        assert (await (await session.get("/api/document-readers")).json())["readers"] == []
        told = await post(session, "/api/documents/capture", 409, reader="desk-1/desk", seconds=2)
        assert told["error"] == "web.reader_away"


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason="NO BROWSER: the button of the desk is not tested")
async def test_the_button_of_the_desk_fills_in_the_name_and_enters_the_person(desk: Desk) -> None:
    async with desk.registrar(), chromium() as browser:
        site = BrowserSite(desk.site.house, desk.site.server.url, browser)
        async with site.page("deng", path="/people/new") as page:
            await page.get_by_role("button", name="读身份证").click()
            await expect(page.locator("menwei-document [role=status]")).to_have_text("请把证件放在阅读器上")
            await desk.sam.lay(CARD)
            await expect(page.locator("[name=name]")).to_have_value("张三丰")
            await expect(page.locator("menwei-document [role=status]")).to_contain_text(NUMBER[-4:])
            await page.get_by_role("button", name="保存").click()
            await expect(page.locator("dl.facts")).to_contain_text(NUMBER[-4:])
        assert site.complaints == []
    (person,) = await desk.site.house.people.list()
    assert person.document == NUMBER[-4:]
