"""Attacks that were published against door systems, tried on this one as they were sent to those: over a bare socket, so
that no client tidies a path or a header on its way. Readers, boards and wires have theirs in `tests/devices`."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from menwei.web import Listen, Server, application
from registration_house import RegistrationHouse, as_csv, person, registration_house
from small_house import PASSWORD
from tenancy_house import card

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SECRETS = (b"root:", b"SQLite format 3", b"BEGIN PRIVATE", b"def ", b"import ")


@dataclass
class Target:
    """A site as the program serves it, with the pages of console, tenancy and registration."""

    house: RegistrationHouse
    port: int
    folder: Path

    async def send(self, request: bytes, *, patience: float = 30) -> tuple[int, bytes]:
        """The status and everything that came back; 0 when the connection ended without an answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            with contextlib.suppress(ConnectionError):  # it took no more: what it said before is read below
                await writer.drain()
            async with asyncio.timeout(patience):
                try:
                    answer = await reader.read(1 << 22)
                    while chunk := await reader.read(1 << 22):
                        answer += chunk
                except ConnectionError:
                    return 0, b""
        finally:
            writer.close()
        return (int(answer.split(b" ", 2)[1]) if answer else 0), answer

    async def get(self, path: bytes, headers: bytes = b"") -> tuple[int, bytes]:
        return await self.send(self._head(b"GET", path) + headers + b"\r\n")

    async def post(
        self, path: bytes, body: bytes, kind: bytes = b"application/json", headers: bytes = b""
    ) -> tuple[int, bytes]:
        about = b"Content-Type: %s\r\nContent-Length: %d\r\n" % (kind, len(body))
        return await self.send(self._head(b"POST", path) + about + headers + b"\r\n" + body)

    async def signed_in(self) -> bytes:
        """The headers of the registrar's session."""
        body = json.dumps({"name": "deng", "password": PASSWORD}).encode()
        status, answer = await self.post(b"/api/login", body)
        assert status == 200, answer
        cookie = next(
            line.split(b":", 1)[1].split(b";")[0].strip()
            for line in answer.split(b"\r\n")
            if line.lower().startswith(b"set-cookie:")
        )
        token = json.loads(answer.split(b"\r\n\r\n", 1)[1])["csrf"].encode()
        return b"Cookie: %s\r\nX-CSRF-Token: %s\r\n" % (cookie, token)

    def _head(self, method: bytes, path: bytes) -> bytes:
        return b"%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n" % (method, path, self.port)

    async def lives(self) -> None:
        assert (await self.get(b"/api/health"))[0] == 200


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[Target]:
    async with registration_house(tmp_path) as house:
        house.messages.add("menwei_console") if house.messages.find("en", "console.cancel") is None else None
        await house.accounts.create("deng", "registrar", PASSWORD)
        from menwei_console import register_routes

        own = [route for plugin in house.plugins.values() for route in plugin.routes]
        server = Server(application(house, [*own, *register_routes()]), Listen(port=0))
        await server.start()
        yield Target(house, int(server.url.rsplit(":", 1)[1]), tmp_path)
        await server.stop()


UP = [
    b"../../../../../../../../etc/passwd",
    b"..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    b"%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    b"..%252f..%252f..%252f..%252fetc%252fpasswd",
    b"....//....//....//....//etc/passwd",
    b"..\\..\\..\\..\\etc\\passwd",
    b"..%5c..%5c..%5c..%5cetc%5cpasswd",
    b"..%c0%af..%c0%af..%c0%afetc%c0%afpasswd",
    b"/etc/passwd",
    b"%00/etc/passwd",
    b"../store.db",
    b"../machine.key",
    b"../__init__.py",
]


@pytest.mark.parametrize("way", UP)
async def test_no_path_leads_out_of_the_static_files(target: Target, way: bytes) -> None:
    """CVE-2020-15050 (BioStar 2) and CVE-2023-38950 (BioTime): files of the machine, read without signing in."""
    status, page = await target.get(b"/login")
    assert status == 200
    files = {b"/static" + part.split(b'"')[0] for part in page.split(b'="/static')[1:]}
    assert files and [(await target.get(file))[0] for file in files] == [200] * len(files)
    for folder in {b"/", b"/static/", *(file.rsplit(b"/", 1)[0] + b"/" for file in files)}:
        status, answer = await target.get(folder + way)
        assert status in (0, 400, 401, 403, 404), (folder, status)
        assert not any(secret in answer for secret in SECRETS), (folder, answer[:300])
    await target.lives()


@pytest.mark.parametrize(
    "path",
    [
        b"/api/people",
        b"/api/accounts",
        b"/api/doors",
        b"/api/profiles",
        b"/api/tenancy/flats",
        b"/people",
        b"/",
    ],
)
async def test_no_word_in_the_address_signs_anybody_in(target: Target, path: bytes) -> None:
    """CVE-2017-7921 (Hikvision): `?auth=` with base64 of admin:11 was everybody's key. Also what proxies are believed."""
    for asked, headers in (
        (path + b"?auth=YWRtaW46MTEK", b""),
        (path + b"?token=admin&session=admin&_csrf=1", b""),
        (path, b"Authorization: Basic YWRtaW46MTEK\r\n"),
        (path, b"X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nX-Forwarded-User: admin\r\n"),
        (path, b"X-Original-URL: /api/health\r\nX-Rewrite-URL: /api/health\r\n"),
    ):
        status, answer = await target.get(asked, headers)
        assert status == (303 if not path.startswith(b"/api") else 401), (asked, headers, status)
        assert b"deng" not in answer


TRICKS = [
    "1' OR '1'='1",
    "1; DROP TABLE holders; --",
    "$(touch {pwned})",
    "`touch {pwned}`",
    "|touch {pwned}",
    "{{7*7}}",
]


@pytest.mark.parametrize("trick", TRICKS)
async def test_what_stands_on_a_card_or_in_a_list_is_never_run(target: Target, trick: str) -> None:
    """CVE-2023-3938 and 3939 (ZKTeco): SQL in a QR code opened the door, a command in a file name was run."""
    pwned = target.folder / "pwned"
    said = trick.replace("{pwned}", str(pwned))
    await target.house.enter(as_csv([person(1)]))
    found = await target.house.examine(as_csv([person(2, 姓名=said, 卡号=said)]))
    assert found.faults, "no such card number"
    session = await target.signed_in()
    body = json.dumps({"name": said, "note": said}).encode()
    status, answer = await target.post(b"/api/people", body, headers=session)
    assert status == 200, answer
    assert target.house.opens(card(person(1)["卡号"])), "the tables are as they were"
    assert not target.house.opens(card("00000000"))
    assert not pwned.exists()
    await target.lives()


@pytest.mark.parametrize(
    "name", [b"../../../../{folder}/pwned", b"{folder}/pwned", b"a\x00b", b"..\\pwned", b"x" * 4000]
)
async def test_the_name_of_an_uploaded_file_names_no_file_here(target: Target, name: bytes) -> None:
    """CVE-2023-3940 to 3943 (ZKTeco): an upload wrote where its name said."""
    before = sorted(target.folder.rglob("*"))
    named = name.replace(b"{folder}", str(target.folder).encode())
    session = await target.signed_in()
    data = as_csv([person(1)])
    form = io.BytesIO()
    form.write(b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n' % named)
    form.write(b"Content-Type: text/csv\r\n\r\n" + data + b"\r\n--b--\r\n")
    for body, kind in ((form.getvalue(), b"multipart/form-data; boundary=b"), (data, b"text/csv")):
        disposition = b'Content-Disposition: attachment; filename="%s"\r\n' % named.replace(b"\x00", b"")
        await target.post(b"/api/registration/import?dry_run=true", body, kind, headers=session + disposition)
    assert sorted(target.folder.rglob("*")) == before
    assert await target.house.counts() == []
    await target.lives()


@pytest.mark.parametrize(
    "body",
    [b"[" * 10_000_000, b'{"name": "' + b"x" * 10_000_000, b"\x00" * 10_000_000],
    ids=["brackets", "name", "nul"],
)
async def test_ten_megabytes_are_refused_before_they_are_read(target: Target, body: bytes) -> None:
    for path in (b"/api/login", b"/api/people"):
        status, _ = await target.post(path, body)
        assert status in (0, 400, 401, 403, 413)
    await target.lives()


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /api/people\x00 HTTP/1.1", b"GET /\xff\xfe HTTP/1.1", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9",
        b"GET http://evil.example/ HTTP/1.1", b"G" * 100_000, b"POST /api/login HTTP/1.1\r\nTransfer-Encoding: xchunked",
        b"POST /api/login HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"POST /api/login HTTP/1.1\r\nContent-Length: -1", b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000,
    ],
    ids=range(10),
)  # fmt: skip
async def test_bytes_that_are_no_request_end_their_own_connection_only(
    target: Target, request_line: bytes
) -> None:
    status, answer = await target.send(request_line + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert status in (0, 301, 302, 303, 400, 401, 403, 404, 413, 414, 421, 431, 505), answer[:300]
    assert b"Traceback" not in answer
    await target.lives()
