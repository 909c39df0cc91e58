"""How commands reach the data: through the running service's Unix socket, or, when none runs, by holding its place.

Either way it is the same API with the same checks; a command never opens the databases beside a running service.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from menwei.config import load
from menwei.messages import negotiate, t
from menwei.socketpath import short

if TYPE_CHECKING:
    from menwei.discovery import Discovery

SLOW = aiohttp.ClientTimeout(total=600)
"""A verification of years, an enrolment that waits for a person."""


class ApiError(Exception):
    """The service refused; the text is its sentence in the caller's language."""

    def __init__(self, status: int, error: str, message: str, where: str = "") -> None:
        super().__init__(f"{message} ({where})" if where else message)
        self.status = status
        self.error = error


@dataclass(slots=True)
class Api:
    """The API as the operator sees it, or as an account after `sign_in`."""

    session: aiohttp.ClientSession
    headers: dict[str, str]
    base: str = "http://localhost"
    serves: bool = True
    """Whether the service runs; else the data is open for this command alone, and no door is served."""

    async def get(self, path: str, **query: Any) -> Any:
        return await self._call(
            "GET", path, params={key: value for key, value in query.items() if value is not None}
        )

    async def post(self, path: str, body: Any = None) -> Any:
        return await self._call("POST", path, json=body if body is not None else {})

    async def put(self, path: str, body: Any = None) -> Any:
        return await self._call("PUT", path, json=body if body is not None else {})

    async def lines(self, path: str, body: Any) -> AsyncIterator[bytes]:
        """The lines of a streamed answer."""
        async with self.session.post(
            self.base + path, json=body, headers=self.headers, timeout=SLOW
        ) as response:
            if response.status >= 400:
                raise self._error(response.status, await _json(response))
            async for line in response.content:
                yield line

    async def sign_in(self, name: str, password: str) -> None:
        """Be an account instead of the operator: the names of people can then be read. Raises `ApiError`."""
        me = await self.post("/api/login", {"name": name, "password": password})
        self.headers["X-CSRF-Token"] = me["csrf"]

    async def _call(self, method: str, path: str, **words: Any) -> Any:
        async with self.session.request(
            method, self.base + path, headers=self.headers, timeout=SLOW, **words
        ) as response:
            answer = await _json(response)
            if response.status >= 400 or answer is UNREADABLE:
                raise self._error(response.status, answer)
            return answer

    def _error(self, status: int, answer: Any) -> ApiError:
        facts = answer if isinstance(answer, dict) else {}
        language = negotiate(self.headers.get("Accept-Language", ""))
        message = facts.get("message") or t(language, "cli.unreadable", status=status)
        return ApiError(status, facts.get("error", ""), message, facts.get("where", ""))


UNREADABLE = object()
"""In place of an answer that is no JSON: the server failed before it could say how."""


async def _json(response: aiohttp.ClientResponse) -> Any:
    try:
        return await response.json(content_type=None)
    except ValueError:
        return UNREADABLE


@asynccontextmanager
async def api(config: Path, language: str, look_for: str = "") -> AsyncIterator[Api]:
    """The API of the site of `config`. Starts nothing when the service runs; else opens the data for this command only
    (raises what `Menwei.open` raises). `look_for`: the id of a device that must have been discovered first."""
    from menwei.web import SOCKET_NAME

    socket = load(config).data / SOCKET_NAME
    if await _answers(socket):
        async with _connected(socket, language) as service:
            yield service
        return
    from menwei.cli import err, tell_password
    from menwei.serving import serving

    def tell(password: str) -> None:
        tell_password(password, err)  # what the command itself says is for scripts too

    with tempfile.TemporaryDirectory(prefix="menwei-") as folder:
        private = Path(folder) / SOCKET_NAME
        async with (
            serving(config, offline=private, tell=tell) as site,
            _connected(private, language) as service,
        ):
            service.serves = False
            if look_for:
                await site.house.discovery.start()
                try:
                    await _until_seen(site.house.discovery, look_for)
                    yield service
                finally:
                    await site.house.discovery.stop()
            else:
                yield service


async def _until_seen(discovery: Discovery, device: str, seconds: float = 6.0) -> None:
    """mDNS answers within about a second; a device that says nothing in six is not there, and adopting says so."""
    seen = asyncio.Event()
    stop = discovery.listen(lambda _change, found: seen.set() if found.id == device else None)
    try:
        if device not in discovery.devices:
            async with asyncio.timeout(seconds):
                await seen.wait()
    except TimeoutError:
        return  # adopting refuses a device that was not found, in a sentence
    finally:
        stop()


async def _answers(socket: Path) -> bool:
    try:
        with short(socket) as path:
            _, writer = await asyncio.open_unix_connection(path)
    except OSError:  # no folder yet, no socket, or one that nobody serves any more
        return False
    writer.close()
    return True


@asynccontextmanager
async def _connected(socket: Path, language: str) -> AsyncIterator[Api]:
    with short(socket) as path:
        connector = aiohttp.UnixConnector(path)
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
            yield Api(session, {"Accept-Language": language, "Origin": "http://localhost"})
