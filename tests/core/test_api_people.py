"""People and credentials over the API: the desk's work, and what it never gives out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient

from menwei.model import FOREVER, CredentialState
from menwei.supervisor import DeviceState
from small_house import HOUSE, sign_in
from waiting import until

Browser = TestClient[Any, Any]
SHANGHAI = ZoneInfo("Asia/Shanghai")


async def post(client: Browser, path: str, **body: Any) -> Any:
    answer = await client.post(path, json=body)
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def somebody(client: Browser, name: str = "欧阳娜娜", **more: Any) -> int:
    return int((await post(client, "/api/people", name=name, **more))["id"])


async def with_card(client: Browser, value: str = "04A1B2C3", **more: Any) -> tuple[int, int]:
    holder = await somebody(client)
    card = await post(client, f"/api/people/{holder}/credentials", format="uid", value=value, **more)
    return holder, int(card["id"])


async def test_the_manager_reads_what_a_registrar_wrote_and_the_registrar_does_not(client: Browser) -> None:
    await sign_in(client, "registrar")
    holder = await somebody(client, phone="13800138000", external_id="1-302")
    seen = await (await client.get(f"/api/people/{holder}")).json()
    assert (seen["name"], seen["phone"], seen["external_id"]) == (None, None, None)
    await sign_in(client)
    seen = await (await client.get(f"/api/people/{holder}")).json()
    assert (seen["name"], seen["phone"], seen["external_id"]) == ("欧阳娜娜", "13800138000", "1-302")


async def test_people_are_found_by_parts_of_their_name_in_an_unlocked_session(client: Browser) -> None:
    await sign_in(client)
    await somebody(client, "李建国")
    holder = await somebody(client)
    found = await (await client.get("/api/people", params={"search": "欧阳"})).json()
    assert [person["id"] for person in found["people"]] == [holder]


async def test_a_name_is_not_searched_without_the_key(client: Browser) -> None:
    await sign_in(client, "registrar")
    answer = await client.get("/api/people", params={"search": "欧阳"})
    assert (answer.status, (await answer.json())["error"]) == (403, "web.locked")


async def test_a_number_or_room_is_found_without_the_key(client: Browser) -> None:
    await sign_in(client, "registrar")
    holder = await somebody(client, external_id="1-302")
    for words in ("1-302", str(holder)):
        found = await (await client.get("/api/people", params={"search": words})).json()
        assert [person["id"] for person in found["people"]] == [holder]


async def test_the_list_comes_in_pages(client: Browser) -> None:
    await sign_in(client, "registrar")
    made = {await somebody(client, f"Person {number}") for number in range(5)}
    seen, after = [], 0
    while after is not None:
        page = await (await client.get("/api/people", params={"limit": 2, "after": after})).json()
        seen += [person["id"] for person in page["people"]]
        after = page["next"]
    assert (len(seen), set(seen)) == (5, made)


@pytest.fixture
def backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number of a row is smaller than the one before: an order by numbers would show the last first."""
    numbers = count(10**15, -1)
    monkeypatch.setattr("menwei.people.new_id", lambda: next(numbers))


async def test_people_stand_by_their_names_and_who_has_left_last(backwards: None, client: Browser) -> None:
    await sign_in(client)
    made = [await somebody(client, f"Lin {name}") for name in ("Bo", "An", "Di", "Ce")]
    await post(client, f"/api/people/{made[1]}/end")
    for words in ({}, {"search": "Lin"}):
        found = await (await client.get("/api/people", params=words)).json()
        assert [person["name"] for person in found["people"]] == ["Lin Bo", "Lin Ce", "Lin Di", "Lin An"]
    first = await (await client.get("/api/people", params={"limit": 2})).json()
    second = await (await client.get("/api/people", params={"limit": 2, "after": first["next"]})).json()
    assert {person["id"] for person in first["people"] + second["people"]} == set(made)


async def test_cards_stand_as_they_begin_and_an_ended_one_last(backwards: None, client: Browser) -> None:
    await sign_in(client)
    holder, made = await somebody(client), []
    for month, value in ((1, "04A1B201"), (3, "04A1B202"), (2, "04A1B203")):
        begins = datetime(2026, month, 1, tzinfo=SHANGHAI).isoformat()
        body = {"format": "uid", "value": value, "valid_from": begins}
        made.append((await post(client, f"/api/people/{holder}/credentials", **body))["id"])
    await post(client, f"/api/credentials/{made[0]}/state", state="Ended")
    seen = await (await client.get(f"/api/people/{holder}")).json()
    assert [card["id"] for card in seen["credentials"]] == [made[2], made[1], made[0]]


async def test_a_card_number_goes_in_and_never_comes_out(client: Browser) -> None:
    await sign_in(client)
    holder, credential = await with_card(client, "04A1B2C3", label="蓝卡", profiles=["residents"], pin="4711")
    text = await (await client.get(f"/api/people/{holder}")).text()
    assert "蓝卡" in text
    assert "04A1B2C3" not in text.upper()
    assert "4711" not in text.replace(str(holder), "").replace(str(credential), "")


async def test_a_card_that_somebody_has_is_not_given_to_another(client: Browser) -> None:
    await sign_in(client, "registrar")
    await with_card(client)
    other = await somebody(client, "李建国")
    answer = await client.post(
        f"/api/people/{other}/credentials", json={"format": "uid", "value": "04A1B2C3"}
    )
    assert (answer.status, (await answer.json())["error"]) == (409, "rights.identifier_taken")


async def test_a_phones_changing_number_is_refused(client: Browser) -> None:
    await sign_in(client, "registrar")
    holder = await somebody(client)
    answer = await client.post(
        f"/api/people/{holder}/credentials", json={"format": "uid", "value": "08A1B2C3"}
    )
    assert (answer.status, (await answer.json())["error"]) == (409, "card.random")


async def test_the_last_day_is_still_valid_and_the_day_after_is_not(client: Browser) -> None:
    await sign_in(client, "registrar")
    _, credential = await with_card(client, first_day="2026-01-01", last_day="2026-12-31")
    kept = client.app[HOUSE].rights.snapshot.credential(credential)
    assert datetime.fromtimestamp(kept.valid_from, SHANGHAI) == datetime(2026, 1, 1, tzinfo=SHANGHAI)
    assert datetime.fromtimestamp(kept.valid_to, SHANGHAI) == datetime(2027, 1, 1, tzinfo=SHANGHAI)


async def test_instants_are_taken_as_they_are(client: Browser) -> None:
    await sign_in(client, "registrar")
    _, credential = await with_card(
        client, valid_from="2026-01-01T00:00:00Z", valid_to="2026-01-02T12:00:00+08:00"
    )
    kept = client.app[HOUSE].rights.snapshot.credential(credential)
    assert kept.valid_to - kept.valid_from == 28 * 3600


async def test_a_validity_that_ends_before_it_begins_is_refused(client: Browser) -> None:
    await sign_in(client, "registrar")
    _, credential = await with_card(client)
    answer = await client.post(
        f"/api/credentials/{credential}/validity", json={"first_day": "2026-02-01", "last_day": "2026-01-01"}
    )
    assert (answer.status, (await answer.json())["error"]) == (409, "rights.invalid_validity")


async def test_a_renewal_keeps_what_it_does_not_name(client: Browser) -> None:
    await sign_in(client, "registrar")
    _, credential = await with_card(
        client, first_day="2026-01-01", last_day="2026-06-30", profiles=["residents"]
    )
    before = client.app[HOUSE].rights.snapshot.credential(credential)
    await post(client, f"/api/credentials/{credential}/validity")
    after = client.app[HOUSE].rights.snapshot.credential(credential)
    assert (after.valid_from, after.profiles, after.valid_to) == (before.valid_from, ("residents",), FOREVER)


async def test_a_card_is_reported_lost_restored_and_ended(client: Browser) -> None:
    await sign_in(client, "registrar")
    _, credential = await with_card(client)
    for state in ("Lost", "Enabled", "Disabled", "Ended"):
        await post(client, f"/api/credentials/{credential}/state", state=state)
        assert client.app[HOUSE].rights.snapshot.credential(credential).state == state


@pytest.mark.parametrize("state", ["Enabled", "Disabled", "Lost"])
async def test_what_was_ended_for_good_stays_ended(client: Browser, state: str) -> None:
    await sign_in(client, "registrar")
    _, credential = await with_card(client)
    await post(client, f"/api/credentials/{credential}/state", state="Ended")
    answer = await client.post(f"/api/credentials/{credential}/state", json={"state": state})
    assert (answer.status, (await answer.json())["error"]) == (409, "rights.credential_ended")
    assert client.app[HOUSE].rights.snapshot.credential(credential).state is CredentialState.ENDED


async def test_ending_a_person_ends_all_their_credentials(client: Browser) -> None:
    await sign_in(client, "registrar")
    holder, credential = await with_card(client)
    await post(client, f"/api/people/{holder}/end")
    assert client.app[HOUSE].rights.snapshot.credential(credential).state is CredentialState.ENDED
    seen = await (await client.get("/api/people")).json()
    assert [(person["ended"], person["enabled"]) for person in seen["people"]] == [(True, False)]


@pytest.mark.parametrize(
    "path",
    [
        "/api/people/1/end",
        "/api/credentials/1/state",
        "/api/credentials/1/validity",
        "/api/people/1/credentials",
    ],
)
async def test_who_and_what_is_not_there_is_not_found(client: Browser, path: str) -> None:
    await sign_in(client, "registrar")
    body: dict[str, Any] = {"state": "Lost"} if path.endswith("state") else {}
    if path.endswith("credentials"):
        body = {"format": "uid", "value": "04A1B2C3"}
    assert (await client.post(path, json=body)).status == 404


async def test_a_card_is_enrolled_by_touching_a_chosen_reader(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "registrar")
    holder = await somebody(client)
    asked = {"reader": "board/in", "seconds": 10, "profiles": ["residents"], "label": "蓝卡"}
    waiting = asyncio.ensure_future(client.post(f"/api/people/{holder}/capture", json=asked))
    await house.devices.touch("in", "04D1E2F3")
    assert (await waiting).status == 200
    assert [kept.profiles for kept in house.rights.snapshot.of_holder(holder)] == [("residents",)]
    audit = (await house.audits())[-1]
    assert (audit["action"], audit["actor"], audit["holder"]) == ("credential.add", "the registrar", holder)


async def test_a_person_is_entered_with_the_card_they_touch(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "registrar")
    touch = {"reader": "board/in", "seconds": 10, "profiles": ["residents"], "label": "蓝卡"}
    waiting = asyncio.ensure_future(client.post("/api/people", json={"name": "林晓", "touch": touch}))
    await house.devices.touch("in", "04D1E2F3")
    holder = (await (await waiting).json())["id"]
    assert [kept.profiles for kept in house.rights.snapshot.of_holder(holder)] == [("residents",)]


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"reader": "board/cellar"}, "web.no_reader"),
        ({"reader": "board/in", "seconds": 1}, "web.no_card"),
        ({"reader": "board/in", "seconds": 60, "profiles": ["nobodys"]}, "rights.unknown_profile"),
    ],
)
async def test_nobody_is_entered_without_the_card_that_was_to_be_touched(
    client: Browser, more: dict[str, Any], refused: str
) -> None:
    await sign_in(client, "registrar")
    answer = await client.post("/api/people", json={"name": "林晓", "touch": more})
    assert (await answer.json())["error"] == refused
    assert (await (await client.get("/api/people")).json())["people"] == []


async def test_a_card_is_typed_or_touched_not_both(client: Browser) -> None:
    await sign_in(client, "registrar")
    both = {"card": {"format": "uid", "value": "04A1B2C3"}, "touch": {"reader": "board/in"}}
    answer = await client.post("/api/people", json={"name": "林晓", **both})
    assert (answer.status, (await answer.json())["where"]) == (400, "body.touch")


async def test_when_nobody_touches_nothing_is_enrolled(client: Browser) -> None:
    await sign_in(client, "registrar")
    holder = await somebody(client)
    answer = await client.post(f"/api/people/{holder}/capture", json={"reader": "board/in", "seconds": 1})
    assert (answer.status, (await answer.json())["error"]) == (409, "web.no_card")
    assert client.app[HOUSE].rights.snapshot.of_holder(holder) == ()


async def test_two_desks_do_not_enrol_at_one_reader(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "registrar")
    holder = await somebody(client)
    asked = {"reader": "board/in", "seconds": 10}
    first = asyncio.ensure_future(client.post(f"/api/people/{holder}/capture", json=asked))
    async with asyncio.timeout(60):
        while not house.devices.captures:
            await asyncio.sleep(0.01)
    answer = await client.post(f"/api/people/{holder}/capture", json=asked)
    assert (answer.status, (await answer.json())["error"]) == (409, "web.reader_busy")
    await house.devices.touch("in", "04D1E2F3")
    assert (await first).status == 200


async def test_a_reader_that_is_away_or_unknown_is_told(client: Browser) -> None:
    await sign_in(client, "registrar")
    holder = await somebody(client)
    answer = await client.post(f"/api/people/{holder}/capture", json={"reader": "board/cellar"})
    assert (answer.status, (await answer.json())["error"]) == (404, "web.no_reader")
    client.app[HOUSE].devices.silent = True
    answer = await client.post(f"/api/people/{holder}/capture", json={"reader": "board/in"})
    assert (answer.status, (await answer.json())["error"]) == (409, "web.reader_away")


async def test_a_desk_that_went_away_leaves_the_reader_to_passages(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "registrar")
    holder = await somebody(client)
    _, secret = await house.accounts.tokens.create("desk", "registrar")
    headers = {"Authorization": f"Bearer {secret}"}
    async with ClientSession() as gone:
        url = client.make_url(f"/api/people/{holder}/capture")
        waiting = asyncio.ensure_future(
            gone.post(url, json={"reader": "board/in", "seconds": 60}, headers=headers)
        )
        async with asyncio.timeout(60):
            while not house.devices.captures:
                await asyncio.sleep(0.01)
        waiting.cancel()
    async with asyncio.timeout(60):
        while house.devices.captures:
            await asyncio.sleep(0.01)


async def test_a_registrar_who_is_disabled_while_a_card_is_waited_for_enrols_nothing(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "registrar")
    holder = await somebody(client)
    asked = {"reader": "board/in", "seconds": 60}
    waiting = asyncio.ensure_future(client.post(f"/api/people/{holder}/capture", json=asked))
    await until(lambda: house.devices.captures)
    (registrar,) = [one for one in await house.accounts.list() if one.role == "registrar"]
    await house.accounts.set_disabled(registrar.id, True)
    await house.devices.touch("in", "04D1E2F3")
    answer = await waiting
    assert (answer.status, (await answer.json())["error"]) == (401, "web.sign_in")
    assert house.rights.snapshot.of_holder(holder) == ()


async def test_a_desk_that_is_signed_out_leaves_the_reader_to_passages(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "registrar")
    holder = await somebody(client)
    token, secret = await house.accounts.tokens.create("desk", "registrar")
    waiting = asyncio.ensure_future(
        client.post(
            f"/api/people/{holder}/capture",
            json={"reader": "board/in", "seconds": 60},
            headers={"Authorization": f"Bearer {secret}"},
        )
    )
    await until(lambda: house.devices.captures)
    await house.accounts.tokens.revoke(token.id)
    await until(lambda: not house.devices.captures)
    assert (await waiting).status == 401


async def test_every_change_at_the_desk_is_recorded_with_who_did_it(client: Browser) -> None:
    await sign_in(client, "registrar")
    holder, credential = await with_card(client)
    await post(client, f"/api/credentials/{credential}/state", state="Lost")
    await post(client, f"/api/people/{holder}/end")
    done = [(audit["action"], audit["actor"]) for audit in await client.app[HOUSE].audits()][-4:]
    actions = ["people.add", "credential.add", "credential.lost", "people.end"]
    assert done == [(action, "the registrar") for action in actions]


async def test_why_somebody_would_be_refused_is_explained_without_a_passage(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "registrar")
    holder, _ = await with_card(client, profiles=["residents"], first_day="2026-01-01", last_day="2026-06-30")
    asked = {"holder": holder, "access_point": "gate-in", "at": "2026-03-01T12:00:00"}
    assert (await post(client, "/api/explain", **asked))["outcome"] == "AccessGranted"
    refused = await post(client, "/api/explain", **{**asked, "at": "2026-07-01T00:00:00"})
    assert (refused["outcome"], refused["reasons"]) == ("AccessDenied", ["CredentialExpired"])
    assert refused["findings"][0]["text"] == "证件已过期 · 请到值班室续期"
    assert not await house.journal.read(kinds={"AccessGranted", "AccessDenied"})
    assert house.devices.done == []


async def test_questions_whether_somebody_would_pass_are_limited_like_reads_of_them(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "registrar")
    holder, _ = await with_card(client)
    asked = {"holder": holder, "access_point": "gate-in"}
    statuses = [(await client.post("/api/explain", json=asked)).status for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    assert len([audit for audit in await house.audits() if audit["action"] == "explain"]) == 20


async def test_the_moment_the_last_day_ends_is_the_sites_midnight(client: Browser) -> None:
    await sign_in(client, "registrar")
    holder, _ = await with_card(client, profiles=["residents"], first_day="2026-01-01", last_day="2026-06-30")
    asked = {"holder": holder, "access_point": "gate-in"}
    still = await post(client, "/api/explain", at="2026-06-30T15:59:59Z", **asked)
    over = await post(client, "/api/explain", at="2026-06-30T16:00:00Z", **asked)
    assert (still["outcome"], over["outcome"]) == ("AccessGranted", "AccessDenied")


@pytest.mark.parametrize(
    "value", ["' OR 1=1 --", "$(reboot)", "../../etc/passwd", "{{7*7}}", "\x00", "𝟎𝟒𝐀𝟏", "0" * 64]
)
async def test_tricks_in_a_card_number_are_no_card_number(client: Browser, value: str) -> None:
    await sign_in(client, "registrar")
    holder = await somebody(client)
    answer = await client.post(f"/api/people/{holder}/credentials", json={"format": "uid", "value": value})
    assert answer.status == 409
    assert (await answer.json())["error"].startswith("card.")


@pytest.mark.parametrize(
    "name", ["' OR 1=1 --", "<script>alert(1)</script>", "../../etc/passwd", "{{7*7}}", "𠮷野家"]
)
async def test_a_name_is_only_a_name(client: Browser, name: str) -> None:
    await sign_in(client)
    holder = await somebody(client, name)
    assert (await (await client.get(f"/api/people/{holder}")).json())["name"] == name


async def test_a_person_is_corrected_and_what_is_left_out_stays(client: Browser) -> None:
    await sign_in(client)
    holder = await somebody(client, phone="13800138000", note="带狗", external_id="1-302")
    await post(client, f"/api/people/{holder}", name="欧阳娜", note="", extended=True)
    seen = await (await client.get(f"/api/people/{holder}")).json()
    assert [seen[name] for name in ("name", "phone", "note", "external_id", "extended")] == [
        "欧阳娜", "13800138000", None, "1-302", True,
    ]  # fmt: skip
    audit = (await client.app[HOUSE].audits())[-1]
    assert (audit["action"], audit["fields"], audit["holder"]) == (
        "people.change",
        ["extended", "name", "note"],
        holder,
    )
    assert "欧阳" not in str(audit)


async def test_a_registrar_corrects_what_only_the_manager_reads(client: Browser) -> None:
    await sign_in(client, "registrar")
    holder = await somebody(client)
    await post(client, f"/api/people/{holder}", phone="13900139000")
    await sign_in(client)
    seen = await (await client.get(f"/api/people/{holder}")).json()
    assert (seen["name"], seen["phone"]) == ("欧阳娜娜", "13900139000")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"name": " "}, 400, "web.field.missing"),
        ({"pin": "1234"}, 400, "web.field.unknown"),
        ({"external_id": "2-202"}, 409, "rights.external_id_taken"),
    ],
)
async def test_a_correction_that_can_not_be_is_refused(
    client: Browser, body: dict[str, Any], status: int, error: str
) -> None:
    await sign_in(client)
    await somebody(client, "张三", external_id="2-202")
    holder = await somebody(client)
    answer = await client.post(f"/api/people/{holder}", json=body)
    assert (answer.status, (await answer.json())["error"]) == (status, error)


async def test_nobody_who_is_not_there_is_corrected(client: Browser) -> None:
    await sign_in(client)
    assert (await client.post("/api/people/12345", json={"note": "x"})).status == 404


async def test_readers_to_enrol_at_are_the_doors_and_those_of_no_door(client: Browser) -> None:
    await sign_in(client, "registrar")
    readers = (await (await client.get("/api/readers")).json())["readers"]
    assert [(reader["id"], reader["place"]) for reader in readers] == [
        ("board/in", "小区门 · 进"),
        ("board/out", "小区门 · 出"),
        ("board/unit", "1号楼单元门"),
        ("board/desk", ""),
    ]
    assert all(reader["connected"] for reader in readers)


async def test_a_keypad_is_not_offered_for_cards_and_nobody_waits_there_for_one(
    client: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = client.app[HOUSE].supervisor
    info = supervisor.info("board")
    assert info is not None
    monkeypatch.setattr(supervisor, "info", lambda _device: replace(info, cardless=("out", "desk")))
    await sign_in(client, "guard")
    readers = (await (await client.get("/api/readers")).json())["readers"]
    assert [reader["id"] for reader in readers] == ["board/in", "board/unit"]
    await sign_in(client, "registrar")
    holder = await somebody(client)
    for reader in ("board/out", "board/desk"):
        body = {"reader": reader, "seconds": 1}
        assert (await client.post(f"/api/people/{holder}/capture", json=body)).status == 404


async def test_a_device_that_is_away_offers_only_the_readers_of_doors(client: Browser) -> None:
    client.app[HOUSE].supervisor.board = DeviceState.RETRYING
    await sign_in(client, "registrar")
    readers = (await (await client.get("/api/readers")).json())["readers"]
    assert [(reader["id"], reader["connected"]) for reader in readers] == [
        ("board/in", False),
        ("board/out", False),
        ("board/unit", False),
    ]


async def test_a_card_is_enrolled_at_a_desk_reader(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "registrar")
    holder = await somebody(client)
    waiting = asyncio.ensure_future(
        post(client, f"/api/people/{holder}/capture", reader="board/desk", seconds=5)
    )
    await house.devices.touch("desk", "04C1C2C3")
    enrolled = (await waiting)["id"]
    assert [credential.id for credential in house.rights.snapshot.of_holder(holder)] == [enrolled]
