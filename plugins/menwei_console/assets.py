"""The files of a package's pages, served under the hash of what they hold: a browser keeps them for ever, an upgrade is a
new address. Modules import each other relatively, so all stand under one hash, of all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib import resources

from aiohttp import web

from menwei.routes import Call, Problem, Route, ShowProblem

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Assets:
    """The files by name, their common hash, and the path of the pages that they belong to."""

    files: Mapping[str, bytes]
    hash: str
    here: str = ""

    @classmethod
    def load(cls, package: str = "menwei_console", here: str = "") -> Assets:
        """The folder `static` of a package; `here` is the path below which its pages stand, "/visitors"."""
        folder = resources.files(package) / "static"
        files = {
            file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in TYPES
        }
        digest = hashlib.sha256()
        for name in sorted(files):
            digest.update(name.encode() + b"\0" + files[name] + b"\0")
        return cls(files, digest.hexdigest()[:16], here)

    def address(self, name: str) -> str:
        """Where a file is served. Raises `KeyError` for one that is not there: a mistake in a template."""
        if name not in self.files:
            raise KeyError(name)
        return f"{self.here}/static/{self.hash}/{name}"

    def route(self, problem: ShowProblem | None = None) -> Route:
        """Where everybody is given these files, also before they have signed in."""
        path = f"{self.here}/static/{{hash}}/{{name}}"
        return Route("GET", path, self.serve, public=True, page=True, problem=problem)

    async def serve(self, call: Call) -> web.StreamResponse:
        name = call.path["name"]
        if call.path["hash"] != self.hash or name not in self.files:
            raise Problem(HTTPStatus.NOT_FOUND, "web.not_found")
        kind = TYPES[name.rpartition(".")[2]]
        return web.Response(body=self.files[name], headers={"Content-Type": kind, "Cache-Control": FOR_EVER})
