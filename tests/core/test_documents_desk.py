"""Identity documents at a desk: who may have one read, what the desk learns, and what is kept."""

# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from menwei import Actor
from menwei.changes import DocumentTaken
from menwei.documents import HELD, MOST, Documents, UnknownHandle
from menwei.model import Document, DocumentKind
from menwei.schema import holders
from small_house import SmallHouse, client, empty_house, house, sign_in  # noqa: F401

pytestmark = pytest.mark.slow

NUMBER = "110105194912310021"
OTHER = "11010519491231003X"
REGISTRAR, COMMITTEE = Actor("the registrar", "registrar"), Actor("admin", "committee")
CARD = Document(DocumentKind.RESIDENT_CARD, "张三丰", NUMBER)
READ = {"reader": "board/documents", "seconds": 20}


async def read(client, house, name="张三丰", number=NUMBER) -> dict[str, Any]:
    asking = asyncio.create_task(client.post("/api/documents/capture", json=READ))
    await house.devices.lay(name, number)
    answer = await asking
    assert answer.status == 200, await answer.text()
    assert number not in await answer.text()
    return dict(await answer.json())


async def test_a_desk_reads_a_document_and_enters_the_person_with_it(house, client):
    await sign_in(client, "registrar")
    found = await read(client, house)
    assert (found["name"], found["last_four"], found["holders"]) == ("张三丰", "0021", [])
    body = {"name": found["name"], "document": found["handle"]}
    made = await (await client.post("/api/people", json=body)).json()
    shown = await (await client.get(f"/api/people/{made['id']}")).json()
    assert (shown["document"], shown["name"]) == ("0021", None)
    again = await read(client, house)
    assert again["holders"] == [made["id"]]


async def test_a_person_who_is_here_already_gets_their_document(house, client):
    await sign_in(client, "registrar")
    holder = await house.people.add("张三丰", actor=REGISTRAR)
    found = await read(client, house)
    answer = await client.post(f"/api/people/{holder}/document", json={"handle": found["handle"]})
    assert answer.status == 200
    assert (await house.people.get(holder)).document == "0021"
    audited = [(entry["action"], entry.get("holder")) for entry in await house.audits()]
    assert audited[-2:] == [("document.read", None), ("people.document", holder)]


async def test_a_handle_works_once_and_for_whoever_asked(house, client):
    await sign_in(client, "registrar")
    found = await read(client, house)
    holder = await house.people.add("张三丰", actor=REGISTRAR)
    with pytest.raises(UnknownHandle):
        await house.people.documents.identify(holder, found["handle"], who=COMMITTEE)
    await house.people.documents.identify(holder, found["handle"], who=REGISTRAR)
    body = {"handle": found["handle"]}
    refused = await client.post(f"/api/people/{holder}/document", json=body)
    assert (refused.status, (await refused.json())["error"]) == (409, "rights.no_document")


async def test_a_document_of_somebody_else_is_refused_and_names_whose_it_is(house, client):
    await sign_in(client, "registrar")
    first = await house.people.add(
        "张三丰", document=(await house.people.documents.hold(CARD, REGISTRAR)).handle, actor=REGISTRAR
    )
    found = await read(client, house)
    refused = await client.post("/api/people", json={"name": "李四", "document": found["handle"]})
    told = await refused.json()
    assert (refused.status, told["error"]) == (409, "rights.document_taken")
    assert str(first) in told["message"]
    assert len(await house.people.list()) == 1, "the person was not entered either"
    await house.people.end(first, actor=REGISTRAR)
    made = await client.post("/api/people", json={"name": "张三丰", "document": found["handle"]})
    assert made.status == 200, "who has left may come again, and a refusal used nothing up"


async def test_of_a_document_nothing_but_a_hash_and_four_sealed_characters_is_kept(house, tmp_path):
    held = await house.people.documents.hold(CARD, REGISTRAR)
    holder = await house.people.add("张三丰", document=held.handle, actor=REGISTRAR)
    async with house.rights.store.read() as connection:
        row = (await connection.execute(select(holders).where(holders.c.id == holder))).one()
    assert len(row.document) == 16
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("*.db*"))
    for secret in (NUMBER, "张三丰"):
        assert secret.encode() not in kept
    assert b"0021" not in row.document_sealed
    assert NUMBER not in repr(await house.rights.history(limit=9))


async def test_a_correction_of_the_name_leaves_the_document(house):
    held = await house.people.documents.hold(CARD, REGISTRAR)
    holder = await house.people.add("张三丰", document=held.handle, actor=REGISTRAR)
    await house.people.change(holder, name="张三风", actor=REGISTRAR)
    assert (await house.people.get(holder)).document == "0021"


async def test_a_list_may_say_that_one_person_stands_in_it_twice(house):
    from menwei import NewPerson

    persons = [NewPerson("张三丰", document=NUMBER), NewPerson("张三丰", document=NUMBER), NewPerson("李四")]
    entered = await house.people.add_many(persons, actor=REGISTRAR)
    found = await house.people.documents.by_numbers([NUMBER, OTHER])
    assert found == {NUMBER: frozenset(one.holder for one in entered[:2])}
    await house.people.end(entered[0].holder, actor=REGISTRAR)
    assert (await house.people.documents.by_numbers([NUMBER], ended=False))[NUMBER] == {entered[1].holder}


async def test_what_is_held_is_forgotten_after_ten_minutes_and_never_grows(house: SmallHouse):
    now = 0.0
    documents = Documents(house.rights.store, house.rights, house.line.hashes, lambda: now)
    old = await documents.hold(CARD, REGISTRAR)
    now = HELD - 1
    young = await documents.hold(CARD, REGISTRAR)
    now = HELD + 1
    holder = await house.people.add("张三丰", actor=REGISTRAR)
    with pytest.raises(UnknownHandle):
        await documents.identify(holder, old.handle, who=REGISTRAR)
    for _ in range(MOST):
        await documents.hold(Document(DocumentKind.RESIDENT_CARD, "李四", OTHER), REGISTRAR)
    with pytest.raises(UnknownHandle):
        await documents.identify(holder, young.handle, who=REGISTRAR)


async def test_a_transaction_that_fails_leaves_the_document_to_be_used(house):
    held = await house.people.documents.hold(CARD, REGISTRAR)
    holder = await house.people.add("张三丰", actor=REGISTRAR)

    async def fails():
        async with house.rights.store.transaction() as tx:
            await house.people.documents.identify(holder, held.handle, who=REGISTRAR, tx=tx)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert (await house.people.get(holder)).document == ""
    await house.people.documents.identify(holder, held.handle, who=REGISTRAR)
    assert (await house.people.get(holder)).document == "0021"


async def test_two_persons_of_one_batch_cannot_have_one_document(house):
    one, two = [await house.people.add(name, actor=REGISTRAR) for name in ("张三丰", "李四")]
    changes = [house.people.documents.change(holder, NUMBER) for holder in (one, two)]

    async def apply():
        async with house.rights.store.transaction() as tx:
            await house.rights.apply(tx, changes, actor=REGISTRAR)

    with pytest.raises(DocumentTaken):
        await apply()


async def test_readers_of_documents_are_not_offered_for_cards(house, client):
    await sign_in(client, "registrar")
    cards = (await (await client.get("/api/readers")).json())["readers"]
    documents = (await (await client.get("/api/document-readers")).json())["readers"]
    assert [reader["id"] for reader in documents] == ["board/documents"]
    assert "board/documents" not in [reader["id"] for reader in cards]
    holder = await house.people.add("张三丰", actor=REGISTRAR)
    body = {"reader": "board/documents", "seconds": 1}
    assert (await client.post(f"/api/people/{holder}/capture", json=body)).status == 404
    assert (await client.post("/api/documents/capture", json={**body, "reader": "board/in"})).status == 404


@pytest.mark.parametrize("role", ["guard", "landlord", "tenant", "installer", "auditor"])
async def test_others_than_the_desk_read_no_documents(client, role):
    await sign_in(client, role)
    for method, path in (
        ("GET", "/api/document-readers"), ("POST", "/api/documents/capture"), ("POST", "/api/people/1/document"),
    ):  # fmt: skip
        assert (await client.request(method, path, json=READ if method == "POST" else None)).status == 403


async def test_nobody_lays_anything_down(client, house):
    await sign_in(client, "registrar")
    refused = await client.post("/api/documents/capture", json={**READ, "seconds": 1})
    assert (refused.status, (await refused.json())["error"]) == (409, "web.no_document")
    house.devices.silent = True
    away = await client.post("/api/documents/capture", json=READ)
    assert (await away.json())["error"] == "web.reader_away"
