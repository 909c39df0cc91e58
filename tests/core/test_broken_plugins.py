"""What a plugin's author got wrong is a named line about that plugin: the site starts, and everything else of it works."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from menwei.checking import check_all
from menwei.discovery import Discovery
from menwei.keys import WrapCost
from menwei.loader import PluginState, load
from menwei.serving import Serving, serving
from menwei.web import application, core_paths
from plugin_folder import MANIFEST, PluginFolder, plugins  # noqa: F401

NOTIFIER = '''
class Told(menwei.Notifier):
    """Tells nobody."""

    name = "told"
    hears = frozenset({"AccessDenied"})

    class Config(menwei.Config):
        pass

    def __init__(self, context, config):
        super().__init__(context, config)
        BEGIN

    async def notify(self, entry): ...

    def repairs(self):
        REPAIRS


@menwei.hookimpl
def register_notifiers():
    return [Told]
'''
HEARS = MANIFEST.format(name="bad") + "permissions: {facts: [AccessDenied]}\n"

Begin = Callable[[str], Coroutine[Any, Any, Serving]]


@pytest.fixture
async def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Begin]:
    """Starts a site with these lines of `plugins:`; no network is looked at."""

    async def idle(_: Discovery) -> None: ...

    monkeypatch.setattr(Discovery, "start", idle)
    monkeypatch.setattr("menwei.accounts.WrapCost", lambda: WrapCost(1, 8, 1))
    path = tmp_path / "config.yaml"
    async with AsyncExitStack() as stack:

        async def start(names: str) -> Serving:
            path.write_text(f"site: {{id: yard, language: en}}\ndata: var\nplugins: {{{names}}}\n", "utf-8")
            return await stack.enter_async_context(serving(path, port=0))

        yield start


def told(site: Serving) -> dict[str, str]:
    """What a person reads, by the repair's key."""
    return {one.key: site.house.messages.t("en", one.message, **one.values) for one in site.house.repairs()}


async def test_a_notifier_that_cannot_be_made_is_named(plugins: PluginFolder, begin: Begin) -> None:  # noqa: F811
    code = NOTIFIER.replace("BEGIN", "raise RuntimeError('no mail')").replace("REPAIRS", "return []")
    plugins.package("menwei_bad", code, manifest=HEARS)
    site = await begin("bad: ")
    assert told(site)["notifier:bad.told"] == "Notifier bad.told fails: RuntimeError: no mail"


async def test_a_notifier_whose_repairs_are_none_is_named(plugins: PluginFolder, begin: Begin) -> None:  # noqa: F811
    code = NOTIFIER.replace("BEGIN", "pass").replace("REPAIRS", "return None")
    plugins.package("menwei_bad", code, manifest=HEARS)
    site = await begin("bad: ")
    sentence = told(site)["notifier-repairs:bad.told"]
    assert sentence.startswith("bad.told could not say what to mend: repairs(): TypeError")


BOARD = '''
class Board(menwei.Driver):
    """A board that could decide by itself."""

    name = "bad"
    decides = frozenset({"host", "controller"})

    class Config(menwei.Config):
        VALIDATOR
        host: str = "127.0.0.1"

    @classmethod
    def board(cls, config):
        ANSWER

    @classmethod
    async def probe(cls, config): ...
    async def run(self): ...
    async def access(self, lock, seconds, deadline, *, passage=""): ...
    async def set_mode(self, lock, mode, deadline): ...


@menwei.hookimpl
def register_drivers():
    return [Board]
'''
VALIDATOR = """
        @pydantic.field_validator("host")
        @classmethod
        def known(cls, value):
            raise KeyError(value)
"""


def board(answer: str = "return None", validator: str = "") -> str:
    return "import pydantic\n" + BOARD.replace("ANSWER", answer).replace("        VALIDATOR\n", validator)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (board("raise RuntimeError('boo')"), "bad: board(): RuntimeError: boo"),
        (board("return 'much'"), "bad: board(): TypeError: a str is no BoardAbilities"),
        (board(validator=VALIDATOR), "menwei_bad.Board.Config: KeyError: '10.0.0.9'"),
    ],
)
async def test_a_driver_that_fails_at_its_options_is_named_by_check_and_at_start(
    code: str,
    said: str,
    plugins: PluginFolder,  # noqa: F811
    begin: Begin,
    tmp_path: Path,
) -> None:
    plugins.package("menwei_bad", code)
    site = await begin("bad: }\ndevices: {gate: {driver: bad, host: 10.0.0.9}")
    assert any(said in sentence for sentence in told(site).values())
    (problem,) = check_all(tmp_path / "config.yaml")
    assert (problem.path, problem.line) == ("devices.gate", 4)
    assert problem.text("en").endswith(said)


async def test_what_a_validator_says_about_a_secret_is_not_repeated(
    plugins: PluginFolder,  # noqa: F811
    tmp_path: Path,
) -> None:
    plugins.package("menwei_bad", board(validator=VALIDATOR))
    (tmp_path / "secrets.yaml").write_text("where: sesame\n", "utf-8")
    (tmp_path / "secrets.yaml").chmod(0o600)
    config = tmp_path / "config.yaml"
    config.write_text(
        "site: {id: yard}\nplugins: {bad: }\ndevices:\n  gate: {driver: bad, host: !secret where}\n"
    )
    (problem,) = check_all(config)
    assert problem.text("en").endswith("menwei_bad.Board.Config: KeyError")


@pytest.mark.parametrize("attribute", ["card_formats", "decides", "inputs", "identifiers"])
def test_a_driver_with_an_attribute_of_the_wrong_type_is_named(
    attribute: str,
    plugins: PluginFolder,  # noqa: F811
) -> None:
    plugins.package("menwei_bad", board() + f"\nBoard.{attribute} = None\n")
    plugin = load(["bad"])["bad"]
    assert plugin.drivers == ()
    assert plugin.error == f"bad: register_drivers: Board cannot be used: `{attribute}` must be a frozenset"


PO = 'msgid "{key}"\nmsgstr "{text}"\n'


def catalogue(package: Path, text: bytes) -> None:
    folder = package / "locale" / "en" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "menwei.po").write_bytes(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'<<<<<<< HEAD\nmsgid "bad.a"\nmsgstr "A"\n=======\n', "menwei.po"),
        ('msgid "bad.a"\nmsgstr "坏"\n'.encode("gbk"), "menwei.po"),
        (
            PO.format(key="door.denied", text="No").encode(),
            "these message keys belong to menwei: door.denied",
        ),
        (PO.format(key="first.a", text="No").encode(), "these message keys belong to menwei_first: first.a"),
    ],
)
async def test_a_plugin_whose_catalogue_cannot_be_used_is_named_and_the_others_keep_theirs(
    text: bytes,
    said: str,
    plugins: PluginFolder,  # noqa: F811
    begin: Begin,
    tmp_path: Path,
) -> None:
    catalogue(plugins.package("menwei_first"), PO.format(key="first.a", text="One").encode())
    catalogue(plugins.package("menwei_bad"), text)
    site = await begin("first: , bad: ")
    assert said in told(site)["plugin:bad"]
    assert site.house.plugins["bad"].state is PluginState.PARTIAL
    assert (site.house.say("first.a"), site.house.plugins["first"].error) == ("One", "")
    (problem,) = check_all(tmp_path / "config.yaml")
    assert problem.path == "plugins.bad"
    assert said in problem.text("en")


ROUTES = """
from menwei.routes import Done, Route


async def page(call):
    return Done()


@menwei.hookimpl
def register_routes():
    return [Route("GET", path, page, public=True, response=Done) for path in ("/fine-NAME", PATH)]
"""


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/doors", "GET /api/doors cannot be served: somebody else serves it already"),
        ("/first/{id}", "GET /first/{id} cannot be served: somebody else serves it already"),
        ("/bad/{x", "GET /bad/{x cannot be served: ValueError"),
    ],
)
async def test_a_route_that_cannot_be_served_is_named_and_the_plugin_s_others_are_served(
    path: str,
    said: str,
    plugins: PluginFolder,  # noqa: F811
    begin: Begin,
    tmp_path: Path,
) -> None:
    for name, route in (("first", "/first/{id:[a-z]+}"), ("bad", path)):
        code = ROUTES.replace("NAME", name).replace("PATH", repr(route))
        manifest = MANIFEST.format(name=name) + "permissions: {pages: true}\n"
        plugins.package(f"menwei_{name}", code, manifest=manifest)
    site = await begin("first: , bad: ")
    assert said in told(site)["plugin:bad"]
    assert site.house.plugins["first"].error == ""
    async with ClientSession(site.server.url) as client:
        for page in ("/fine-first", "/fine-bad", "/first/a"):
            async with client.get(page) as answer:
                assert answer.status == 200
    (problem,) = check_all(tmp_path / "config.yaml")
    assert problem.path == "plugins.bad"
    assert said in problem.text("en")


async def test_the_core_s_own_routes_are_all_known_to_the_check(begin: Begin) -> None:
    site = await begin("")
    served = application(site.house).router.routes()
    paths = {(route.method, route.resource.canonical) for route in served if route.resource is not None}
    assert paths == {(method, path) for method, path in core_paths()}
