"""The server: who is let in, what is refused before any handler, and what every answer carries."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy
from aiohttp.test_utils import TestClient

import menwei.web
from menwei.cardformats import normalise
from menwei.routes import Call, Done, Role, Route
from menwei.web import Listen, NotLoopback, Server, application, require_loopback
from small_house import HOUSE, PASSWORD, SmallHouse, sign_in
from waiting import WITHIN

Browser = TestClient[Any, Any]


async def test_health_asks_for_no_sign_in(client: Browser) -> None:
    answer = await client.get("/api/health")
    assert (answer.status, (await answer.json())["ok"]) == (200, True)


async def test_every_answer_carries_the_headers_that_browsers_obey(client: Browser) -> None:
    for path in ("/api/health", "/login", "/api/doors", "/nowhere"):
        headers = (await client.get(path, allow_redirects=False)).headers
        assert "script-src 'self'" in headers["Content-Security-Policy"], path
        assert "unsafe-inline" not in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "aiohttp" not in headers["Server"]


async def test_without_a_sign_in_nothing_behind_it_is_told(client: Browser) -> None:
    answer = await client.get("/api/doors", headers={"Accept-Language": "en"})
    assert answer.status == 401
    assert await answer.json() == {"error": "web.sign_in", "message": "Sign in first", "where": ""}


async def test_a_refusal_is_in_the_callers_language(client: Browser) -> None:
    answer = await client.get("/api/doors", headers={"Accept-Language": "zh-TW,en;q=0.5"})
    assert (await answer.json())["message"] == "请先登录"


async def test_without_a_wish_the_sites_language_is_spoken(client: Browser) -> None:
    assert (await (await client.get("/api/doors")).json())["message"] == "请先登录"


async def test_signing_in_gives_a_session_cookie_that_scripts_and_other_sites_do_not_get(
    client: Browser,
) -> None:
    password = client.app[HOUSE].first_password
    answer = await client.post("/api/login", json={"name": "admin", "password": password})
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("menwei=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/" in cookie
    assert (await client.get("/api/me")).status == 200


async def test_a_wrong_password_is_refused_without_saying_which_part_is_wrong(client: Browser) -> None:
    answers = []
    for name in ("admin", "nobody"):
        answer = await client.post("/api/login", json={"name": name, "password": "wrong"})
        answers.append((answer.status, await answer.json()))
    assert answers[0] == answers[1]
    assert answers[0][0] == 401


async def test_guessing_passwords_is_slowed_down(client: Browser) -> None:
    statuses = [
        (await client.post("/api/login", json={"name": "admin", "password": "wrong"})).status
        for _ in range(7)
    ]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    answer = await client.post(
        "/api/login", json={"name": "admin", "password": client.app[HOUSE].first_password}
    )
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) > 0


async def test_signing_out_ends_the_session_for_good(client: Browser) -> None:
    await sign_in(client)
    stolen = next(iter(client.session.cookie_jar)).value
    assert (await client.post("/api/logout")).status == 200
    answer = await client.get("/api/me", headers={"Cookie": f"menwei={stolen}"})
    assert answer.status == 401


async def test_a_new_sign_in_ends_the_session_before_it(client: Browser) -> None:
    await sign_in(client)
    before = next(iter(client.session.cookie_jar)).value
    await sign_in(client)
    client.session.cookie_jar.clear()
    assert (await client.get("/api/me", headers={"Cookie": f"menwei={before}"})).status == 401


async def test_a_change_with_the_cookie_needs_the_csrf_token(client: Browser) -> None:
    await sign_in(client)
    del client.session.headers["X-CSRF-Token"]
    command = {"mode": "Accessed", "reason": "courier"}
    answer = await client.post("/api/doors/gate/command", json=command)
    assert (answer.status, (await answer.json())["error"]) == (403, "web.csrf")
    answer = await client.post("/api/doors/gate/command", json=command, headers={"X-CSRF-Token": "guessed"})
    assert answer.status == 403
    assert client.app[HOUSE].devices.done == []


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1:1"])
async def test_a_change_that_another_site_sends_is_refused(client: Browser, origin: str) -> None:
    await sign_in(client)
    command = {"mode": "Accessed", "reason": "courier"}
    answer = await client.post("/api/doors/gate/command", json=command, headers={"Origin": origin})
    assert (answer.status, (await answer.json())["error"]) == (403, "web.origin")


async def test_signing_somebody_in_from_another_site_is_refused(client: Browser) -> None:
    answer = await client.post(
        "/api/login", json={"name": "admin", "password": "x"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert (answer.status, (await answer.json())["error"]) == (403, "web.origin")


async def test_our_own_pages_are_our_own_origin(client: Browser) -> None:
    await sign_in(client)
    origin = str(client.make_url("/").origin())
    command = {"mode": "Accessed", "reason": "courier"}
    assert (
        await client.post("/api/doors/gate/command", json=command, headers={"Origin": origin})
    ).status == 200


async def test_a_name_that_was_pointed_at_this_machine_is_not_ours(client: Browser) -> None:
    answer = await client.get("/api/health", headers={"Host": "rebound.example"})
    assert (answer.status, (await answer.json())["error"]) == (400, "web.host")


@pytest.mark.parametrize("host", ["localhost.rebound.example", "[::1", "a]b", "::1", "", "10.0.0.1"])
async def test_what_is_no_name_of_this_machine_is_refused_in_a_sentence(client: Browser, host: str) -> None:
    answer = await client.get("/api/health", headers={"Host": host})
    assert (answer.status, (await answer.json())["error"]) == (400, "web.host")


@pytest.mark.parametrize("host", ["localhost:8460", "LocalHost", "127.0.0.1", "127.0.0.2:8460", "[::1]:8460"])
async def test_every_loopback_name_that_may_be_listened_on_is_ours(client: Browser, host: str) -> None:
    assert (await client.get("/api/health", headers={"Host": host})).status == 200


async def test_a_token_calls_without_cookie_and_csrf(client: Browser) -> None:
    _, secret = await client.app[HOUSE].accounts.tokens.create("backup", "committee")
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await (await client.get("/api/me", headers=headers)).json())["kind"] == "token"
    command = {"mode": "Accessed", "reason": "courier"}
    assert (await client.post("/api/doors/gate/command", json=command, headers=headers)).status == 200


@pytest.mark.parametrize(
    "value", ["Bearer mw_wrong", "Bearer", "Basic YWRtaW46YWRtaW4=", "Bearer 电", "mw_x"]
)
async def test_a_wrong_token_makes_nobody_even_with_a_good_cookie_beside_it(
    client: Browser, value: str
) -> None:
    await sign_in(client)
    assert (await client.get("/api/me", headers={"Authorization": value})).status == 401


async def test_a_revoked_token_is_worth_nothing(client: Browser) -> None:
    tokens = client.app[HOUSE].accounts.tokens
    token, secret = await tokens.create("backup", "committee")
    await tokens.revoke(token.id)
    assert (await client.get("/api/me", headers={"Authorization": f"Bearer {secret}"})).status == 401


async def test_a_narrowed_token_does_only_what_its_scope_names(client: Browser) -> None:
    _, secret = await client.app[HOUSE].accounts.tokens.create("wall display", "committee", scope=["doors"])
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await client.get("/api/doors", headers=headers)).status == 200
    assert (await client.get("/api/people", headers=headers)).status == 403
    assert (await client.get("/people", headers=headers)).status == 403


async def test_a_body_beyond_a_megabyte_is_refused(client: Browser) -> None:
    body = b'{"name": "' + b"x" * 1_100_000 + b'", "password": "x"}'
    answer = await client.post("/api/login", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status, (await answer.json())["error"]) == (413, "web.too_large")


@pytest.mark.parametrize(
    ("body", "error", "where"),
    [
        (b"{", "web.json", "body"),
        (b"[]", "web.field.invalid", "body"),
        (b'{"name": "admin"}', "web.field.missing", "body.password"),
        (b'{"name": "admin", "password": "x", "role": "committee"}', "web.field.unknown", "body.role"),
        (b'{"name": 1, "password": "x"}', "web.field.invalid", "body.name"),
        (b'{"name": "\xff", "password": "x"}', "web.json", "body"),
        (b"", "web.field.missing", "body.name"),
    ],
)
async def test_a_malformed_body_is_told_at_its_place(
    client: Browser, body: bytes, error: str, where: str
) -> None:
    answer = await client.post("/api/login", data=body, headers={"Content-Type": "application/json"})
    told = await answer.json()
    assert (answer.status, told["error"], told["where"]) == (400, error, where)


async def test_a_body_of_another_type_is_not_guessed_at(client: Browser) -> None:
    answer = await client.post("/api/login", data=b"{}", headers={"Content-Type": "text/plain"})
    assert (answer.status, (await answer.json())["error"]) == (400, "web.content_type")


async def test_a_refusal_does_not_repeat_what_was_typed(client: Browser) -> None:
    answer = await client.post("/api/login", json={"name": ["张三的密码"], "password": "hunter2"})
    assert "张三" not in await answer.text()


async def test_a_wrong_method_says_which_are_right(client: Browser) -> None:
    answer = await client.delete("/api/doors")
    assert (answer.status, (await answer.json())["error"]) == (405, "web.method")
    assert "GET" in answer.headers["Allow"]


async def test_an_address_of_the_api_that_is_not_there_answers_in_json(client: Browser) -> None:
    answer = await client.get("/api/nowhere")
    assert (answer.status, (await answer.json())["error"]) == (404, "web.not_found")


async def test_a_handler_that_fails_tells_nothing_of_its_insides(house: SmallHouse) -> None:
    async def broken(call: Call) -> Done:
        raise RuntimeError("the secret of 张三")

    app = application(house, [Route("GET", "/api/broken", broken, public=True)])
    async with TestClient(aiohttp.test_utils.TestServer(app)) as browser:
        answer = await browser.get("/api/broken")
        assert (answer.status, (await answer.json())["error"]) == (500, "web.failed")
        assert "张三" not in await answer.text()


async def test_a_full_disk_is_told_as_one(house: SmallHouse) -> None:
    async def write(call: Call) -> Done:
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"a name")
        return Done()

    app = application(house, [Route("GET", "/api/write", write, public=True)])
    async with TestClient(aiohttp.test_utils.TestServer(app)) as browser:
        answer = await browser.get("/api/write")
        assert (answer.status, (await answer.json())["error"]) == (507, "web.disk_full")


async def test_a_store_that_cannot_be_written_refuses_a_person_and_says_why(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client)

    def read_only(connection: Any) -> None:
        connection.exec_driver_sql("PRAGMA query_only = ON")

    engine = house.rights.store.engine.sync_engine
    sqlalchemy.event.listen(engine, "begin", read_only)
    answer = await client.post("/api/people", json={"name": "林晓"})
    assert (answer.status, (await answer.json())["error"]) == (507, "web.disk_full")


def test_a_plugin_can_not_take_the_place_of_anothers_route(house: SmallHouse) -> None:
    async def mine(call: Call) -> Done:
        return Done()

    with pytest.raises(ValueError, match="registered twice"):
        application(house, [Route("POST", "/api/login", mine, public=True)])


async def test_metrics_are_for_those_who_keep_the_machine_and_name_nobody(client: Browser) -> None:
    assert (await client.get("/metrics")).status == 401
    await sign_in(client)
    await client.app[HOUSE].people.add("欧阳娜娜", actor=client.app[HOUSE].ACTOR)
    await client.get("/api/people?search=欧阳")
    text = await (await client.get("/metrics")).text()
    assert 'menwei_doors{alarm="Normal",mode="Locked",online="true",state="Closed"} 3.0' in text
    assert 'menwei_devices{state="ready"} 1.0' in text
    assert 'route="/api/people"' in text
    assert "欧阳" not in text
    assert "admin" not in text


async def test_an_invented_method_makes_no_label_of_its_own(client: Browser) -> None:
    await client.request("INVENTED", "/api/health")
    await sign_in(client)
    assert "INVENTED" not in await (await client.get("/metrics")).text()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "menwei.example", "::"])
def test_without_tls_only_loopback_is_served(host: str) -> None:
    with pytest.raises(NotLoopback, match=r"web\.tls"):
        require_loopback(Listen(host))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_loopback_needs_no_tls(host: str) -> None:
    require_loopback(Listen(host))


def test_with_tls_every_address_may_be_served() -> None:
    require_loopback(Listen("0.0.0.0", certificate=Path("c.pem"), key=Path("k.pem")))


# --------------------------------------------------------------------------------------------- the machine's own socket


@pytest.fixture
async def server(house: SmallHouse, tmp_path: Path) -> Any:
    served = Server(application(house), Listen(port=0, socket=tmp_path / "menwei.sock"))
    await served.start()
    yield served
    await served.stop()


async def test_whoever_runs_the_machine_is_the_operator_at_the_unix_socket(
    server: Server, tmp_path: Path
) -> None:
    async with aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(str(tmp_path / "menwei.sock"))
    ) as session:
        me = await (await session.get("http://menwei/api/me")).json()
    assert (me["role"], me["kind"], me["unlocked"]) == ("operator", "operator", False)


async def test_whoever_sits_at_the_machine_may_ask_for_every_door_whether_somebody_would_pass(
    house: SmallHouse, server: Server, tmp_path: Path
) -> None:
    holder = await house.people.add("欧阳娜娜", cards=[normalise("uid", "04A1B2C3")], actor=house.ACTOR)
    asked = {"holder": holder, "access_point": "gate-in"}
    connector = aiohttp.UnixConnector(str(tmp_path / "menwei.sock"))
    async with aiohttp.ClientSession(connector=connector) as session:
        statuses = {(await session.post("http://menwei/api/explain", json=asked)).status for _ in range(25)}
    assert statuses == {200}


async def test_the_unix_socket_is_for_its_owner_only(server: Server, tmp_path: Path) -> None:
    assert (tmp_path / "menwei.sock").stat().st_mode & 0o777 == 0o600


async def test_over_tcp_nobody_is_the_operator(server: Server) -> None:
    async with aiohttp.ClientSession() as session:
        assert (await session.get(f"{server.url}/api/me")).status == 401


async def test_another_user_at_the_socket_is_nobody(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root can not become another user for one connection inside a test, so the kernel's answer is replaced."""
    from menwei import callers

    monkeypatch.setattr(callers, "peer_uid", lambda _peer: 4711)
    async with aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(str(tmp_path / "menwei.sock"))
    ) as session:
        assert (await session.get("http://menwei/api/me")).status == 401


async def test_a_socket_that_a_kill_left_behind_is_replaced(house: SmallHouse, tmp_path: Path) -> None:
    path = tmp_path / "menwei.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    served = Server(application(house), Listen(port=0, socket=path))
    await served.start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
            assert (await session.get("http://menwei/api/health")).status == 200
    finally:
        await served.stop()
    assert not path.exists()


async def test_a_file_in_the_sockets_place_is_left_alone(house: SmallHouse, tmp_path: Path) -> None:
    path = tmp_path / "menwei.sock"
    path.write_text("a person's file")
    served = Server(application(house), Listen(port=0, socket=path))
    with pytest.raises(FileExistsError, match="in the way"):
        await served.start()
    assert path.read_text() == "a person's file"


@pytest.mark.parametrize("sent", [b"", b"GET /api/health HTTP/1.1\r\nHost: local"])
async def test_a_connection_that_does_not_come_to_its_request_is_closed(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(menwei.web, "IDLE", 0.1)
    server = Server(application(house), Listen(port=0))
    await server.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        async with asyncio.timeout(WITHIN):
            assert await reader.read() == b""
        writer.close()
    finally:
        await server.stop()


async def test_a_live_stream_does_not_hold_up_the_end(house: SmallHouse, tmp_path: Path) -> None:
    path = tmp_path / "menwei.sock"
    served = Server(application(house), Listen(port=0, socket=path))
    await served.start()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
        stream = await session.get("http://menwei/api/events")
        assert stream.status == 200
        await stream.content.readline()
        async with asyncio.timeout(60):
            await served.stop()


async def test_passwords_are_not_written_to_the_journal(client: Browser) -> None:
    await sign_in(client, "guard")
    audits = str(await client.app[HOUSE].audits())
    assert "login" in audits
    assert PASSWORD not in audits
    assert Role.GUARD in audits


async def test_a_form_with_thousands_of_fields_is_refused_in_words(client: Browser) -> None:
    fields = {f"field{number}": "1" for number in range(1001)}
    answer = await client.post("/api/login", data=fields, headers={"Accept": "application/json"})
    assert (answer.status, (await answer.json())["error"]) == (400, "web.refused")


@pytest.mark.parametrize(
    "notice",
    [
        '{"error": "web.too_many", "values": {"key": "x"}}',
        '{"error": "web.too_many", "values": {"language": "x"}}',
        '{"error": "web.too_many", "values": {"self": "x"}}',
        '{"error": "web.too_many", "values": []}',
        '{"error": ["web.too_many"]}',
        "[]",
        "null",
    ],
)
async def test_a_notice_that_is_not_ours_is_no_notice(client: Browser, notice: str) -> None:
    client.session.cookie_jar.update_cookies({"menwei-notice": notice.encode().hex()})
    assert (await client.get("/api/health")).status == 200
    await sign_in(client)
    client.session.cookie_jar.update_cookies({"menwei-notice": notice.encode().hex()})
    assert (await client.get("/")).status == 200
