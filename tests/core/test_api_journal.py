"""Reading the journal over the API: by door, by person only with a reason, and who read is recorded."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from menwei.journal import Entry
from small_house import HOUSE, SmallHouse, sign_in

Browser = TestClient[Any, Any]
HOLDER = 77


async def passages(house: SmallHouse, count: int, door: str = "gate", holder: int = HOLDER) -> None:
    for _ in range(count):
        entry = Entry(
            "AccessGranted", house.clock.now(), door, f"{door}-in", {}, {"holder": holder, "credential": 1}
        )
        await house.journal.record(entry, 10)


async def test_a_doors_entries_come_in_pages(client: Browser) -> None:
    await passages(client.app[HOUSE], 5)
    await passages(client.app[HOUSE], 2, "unit")
    await sign_in(client)
    seen, before = [], ""
    while True:
        page = await (await client.get(f"/api/doors/gate/journal?limit=2{before}")).json()
        seen += [entry["position"] for entry in page["entries"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, key=lambda text: [int(part) for part in text.split(".")], reverse=True)


async def test_by_door_nobody_is_named_unless_asked_and_asking_is_recorded(client: Browser) -> None:
    house = client.app[HOUSE]
    await passages(house, 1)
    await sign_in(client)
    plain = await (await client.get("/api/doors/gate/journal")).json()
    assert plain["entries"][0]["holder"] is None
    before = len(await house.audits())
    named = await (await client.get("/api/doors/gate/journal?who=true")).json()
    assert named["entries"][0]["holder"] == HOLDER
    audits = (await house.audits())[before:]
    assert [(a["action"], a["door"], a["actor"]) for a in audits] == [("journal.by_door", "gate", "admin")]


async def test_a_persons_entries_need_a_reason(client: Browser) -> None:
    house = client.app[HOUSE]
    await passages(house, 2)
    await sign_in(client)
    for body in ({"holder": HOLDER}, {"holder": HOLDER, "reason": "    "}, {"holder": HOLDER, "reason": "x"}):
        assert (await client.post("/api/journal/holder", json=body)).status == 400
    assert not [audit for audit in await house.audits() if audit["action"] == "journal.by_holder"]


async def test_who_read_a_persons_entries_and_why_is_recorded(client: Browser) -> None:
    house = client.app[HOUSE]
    await passages(house, 2)
    await passages(house, 1, holder=99)
    await sign_in(client)
    asked = {"holder": HOLDER, "reason": "she asked for it at the desk"}
    answer = await client.post("/api/journal/holder", json=asked)
    assert {entry["holder"] for entry in (await answer.json())["entries"]} == {HOLDER}
    audit = (await house.audits())[-1]
    assert (audit["action"], audit["actor"], audit["holder"]) == ("journal.by_holder", "admin", HOLDER)
    assert audit["reason"] == "she asked for it at the desk"


async def test_the_open_part_of_that_record_does_not_name_the_person(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client)
    await client.post("/api/journal/holder", json={"holder": 123456789, "reason": "a reason"})
    entry = (await house.journal.read(kinds={"Audit"}))[-1]
    assert "123456789" not in json.dumps(dict(entry.data))


async def test_reads_by_person_are_limited(client: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    await sign_in(client)
    asked = {"holder": HOLDER, "reason": "a reason"}
    statuses = [(await client.post("/api/journal/holder", json=asked)).status for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    audits = [audit for audit in await client.app[HOUSE].audits() if audit["action"] == "journal.by_holder"]
    assert len(audits) == 20


async def test_a_program_with_an_accounts_name_is_limited_by_itself(client: Browser) -> None:
    """Names are given by people: two may be alike, and one caller has no second."""
    _, secret = await client.app[HOUSE].accounts.tokens.create("admin", "committee")
    asked = {"holder": HOLDER, "reason": "a reason"}
    program = {"Authorization": f"Bearer {secret}"}
    for _ in range(20):
        await client.post("/api/journal/holder", json=asked, headers=program)
    assert (await client.post("/api/journal/holder", json=asked, headers=program)).status == 429
    await sign_in(client)
    assert (await client.post("/api/journal/holder", json=asked)).status == 200


async def test_the_tokens_an_account_makes_are_limited_together_with_it(client: Browser) -> None:
    """Else anybody who may make tokens reads as many histories as they make."""
    await sign_in(client)
    asked = {"holder": HOLDER, "reason": "a reason"}
    statuses = []
    for number in range(21):
        made = await (
            await client.post("/api/tokens", json={"name": f"p{number}", "role": "committee"})
        ).json()
        program = {"Authorization": f"Bearer {made['secret']}"}
        statuses.append((await client.post("/api/journal/holder", json=asked, headers=program)).status)
    assert statuses == [200] * 20 + [429]
    assert (await client.post("/api/journal/holder", json=asked)).status == 429


async def test_an_export_is_json_lines_of_the_doors_asked_for(client: Browser) -> None:
    house = client.app[HOUSE]
    await passages(house, 3)
    await passages(house, 2, "unit")
    await sign_in(client)
    answer = await client.post("/api/journal/export", json={"doors": ["unit"], "reason": "insurance"})
    entries = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert answer.content_type == "application/x-ndjson"
    assert [entry["door"] for entry in entries] == ["unit", "unit"]
    assert "personal" not in entries[0]
    audit = (await house.audits())[-1]
    assert (audit["action"], audit["doors"], audit["reason"]) == ("journal.export", ["unit"], "insurance")


async def test_an_export_with_people_says_so_in_its_record(client: Browser) -> None:
    house = client.app[HOUSE]
    await passages(house, 1)
    await sign_in(client)
    answer = await client.post(
        "/api/journal/export", json={"doors": ["gate"], "who": True, "reason": "court order"}
    )
    assert json.loads(await answer.text())["personal"]["holder"] == HOLDER
    assert (await house.audits())[-1]["who"] is True


async def test_an_export_of_a_door_that_is_not_there_is_refused(client: Browser) -> None:
    await sign_in(client)
    answer = await client.post("/api/journal/export", json={"doors": ["gate", "none"], "reason": "insurance"})
    assert (answer.status, (await answer.json())["error"]) == (404, "web.no_door")


async def test_an_auditor_verifies_the_journal_and_that_is_all(client: Browser) -> None:
    await passages(client.app[HOUSE], 2)
    await sign_in(client, "auditor")
    found = await (await client.post("/api/journal/verify")).json()
    assert found["ok"] is True
    assert found["entries"] >= 2
    assert "日志完整" in found["message"]
    assert (await client.get("/api/doors/gate/journal")).status == 403


async def test_a_journal_that_was_altered_is_found_out(client: Browser, tmp_path: Path) -> None:
    house = client.app[HOUSE]
    await passages(house, 3)
    await sign_in(client, "auditor")
    with sqlite3.connect(tmp_path / "journal.db") as other:
        other.execute("UPDATE entry SET door = 'unit' WHERE kind = 'AccessGranted'")
    found = await (await client.post("/api/journal/verify")).json()
    assert found["ok"] is False
    assert found["broken"] is not None
    assert found["broken"] in found["message"]


async def test_somebodys_passages_do_not_hold_what_the_desk_did_for_them(client: Browser) -> None:
    house = client.app[HOUSE]
    await passages(house, 1)
    await sign_in(client)
    await house.audit(house.ACTOR, "people.change", {}, {"holder": HOLDER})
    answer = await client.post("/api/journal/holder", json={"holder": HOLDER, "reason": "a reason"})
    assert [entry["kind"] for entry in (await answer.json())["entries"]] == ["AccessGranted"]
