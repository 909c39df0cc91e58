"""The console as a plugin: it loads by the public door, and every word of it stands in both languages."""

# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from jinja2 import Environment, PackageLoader

import menwei_console
from menwei.loader import PluginState, load
from menwei.messages import LANGUAGES, Catalogue, Messages, placeholders
from menwei_console.assets import Assets
from menwei_console.pages import routes
from small_house import client, empty_house, house  # noqa: F401

FOLDER = Path(menwei_console.__file__).parent
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
HAN = re.compile(r"[\u4e00-\u9fff]")
KEY = re.compile(r"""\bt\(\s*["']([a-z_.A-Z]+[a-zA-Z_])["']\s*[,)]""")

Browser = TestClient[Any, Any]


def test_the_console_loads_like_any_plugin() -> None:
    plugin = load(["console"])["console"]
    assert (plugin.state, plugin.failures) == (PluginState.OK, ())
    assert {route.path for route in plugin.routes} >= {"/", "/login", "/people", "/devices"}


def test_every_page_is_a_page_and_shows_refusals_as_one() -> None:
    assert [route.path for route in routes() if not route.page or route.problem is None] == []


def test_only_what_is_needed_to_sign_in_is_public() -> None:
    public = {route.path for route in routes() if route.public}
    assert public == {
        "/login",
        "/language",
        "/manifest.webmanifest",
        "/favicon.ico",
        "/static/{hash}/{name}",
        "/{path:(?!api/).*}",
    }


def test_both_catalogues_have_the_same_keys_and_placeholders() -> None:
    texts = Catalogue.of_package("menwei_console").texts
    chinese, english = (texts[language] for language in LANGUAGES)
    assert set(chinese) == set(english)
    assert [key for key in chinese if placeholders(chinese[key]) != placeholders(english[key])] == []


def test_every_key_in_a_template_has_words() -> None:
    messages = Messages(strict=True)
    messages.add("menwei_console")
    keys = {key for template in TEMPLATES for key in KEY.findall(template.read_text())}
    assert len(keys) > 80
    missing = [key for key in sorted(keys) if not all(messages.find(language, key) for language in LANGUAGES)]
    assert missing == []


def test_every_word_of_the_catalogue_is_used() -> None:
    files = [*TEMPLATES, *FOLDER.glob("*.py")]
    source = "\n".join(file.read_text() for file in files)
    built = ("console.reason.", "console.command.", "console.credential.to.", "console.form.")
    keys = Catalogue.of_package("menwei_console").keys()
    assert [key for key in sorted(keys) if key not in source and not key.startswith(built)] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_holds_no_words_of_its_own_but_the_name_of_the_other_language(template: Path) -> None:
    assert HAN.findall(template.read_text().replace("中文", "")) == []


@pytest.mark.parametrize("file", sorted((FOLDER / "static").glob("*.js")), ids=lambda path: path.name)
def test_a_module_holds_no_words_and_makes_no_markup_of_strings(file: Path) -> None:
    source = file.read_text()
    assert not HAN.search(source)
    assert "innerHTML" not in source
    assert "eval(" not in source


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_needs_inline_code_or_turns_escaping_off(template: Path) -> None:
    source = template.read_text()
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)", source)
    assert "|safe" not in source
    Environment(loader=PackageLoader("menwei_console"), autoescape=True).get_template(template.name)


def test_every_element_of_our_own_is_a_block_that_a_card_can_be() -> None:
    css = (FOLDER / "static" / "console.css").read_text()
    rule = re.search(r"^(menwei-[^{]*){ display: block; }", css, re.MULTILINE)
    assert rule is not None
    used = {name for template in TEMPLATES for name in re.findall(r"<(menwei-[a-z]+)", template.read_text())}
    defined = set(re.findall(r'define\("(menwei-[a-z]+)"', (FOLDER / "static" / "console.js").read_text()))
    assert used == defined == set(rule[1].replace(" ", "").split(","))


def test_another_content_is_another_address() -> None:
    assets = Assets.load()
    assert assets.address("console.css") == f"/static/{assets.hash}/console.css"
    with pytest.raises(KeyError):
        assets.address("nothing.css")


async def test_static_files_are_kept_for_ever_and_only_under_their_hash(client: Browser) -> None:
    assets = Assets.load()
    answer = await client.get(assets.address("console.js"))
    assert (answer.status, answer.content_type) == (200, "text/javascript")
    assert "immutable" in answer.headers["Cache-Control"]
    assert (await client.get("/static/0000000000000000/console.js")).status == 404
    assert (await client.get(f"/static/{assets.hash}/../__init__.py")).status == 404
    assert (await client.get(f"/static/{assets.hash}/..%2f__init__.py")).status == 404


async def test_a_page_without_a_sign_in_leads_there_and_back(client: Browser) -> None:
    answer = await client.get("/people?search=x", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/login?next=%2Fpeople%3Fsearch%3Dx")


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x"]
)
async def test_a_form_leads_only_to_pages_of_this_house(client: Browser, elsewhere: str) -> None:
    form = {"name": "admin", "password": "wrong"}
    answer = await client.post(
        "/api/login",
        params={"_next": elsewhere},
        data=form,
        headers={"Accept": "text/html"},
        allow_redirects=False,
    )
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    answer = await client.post("/language", data={"to": "en", "next": elsewhere}, allow_redirects=False)
    assert answer.headers["Location"] == "/"


async def test_the_manifest_makes_it_an_application(client: Browser) -> None:
    answer = await client.get("/manifest.webmanifest")
    manifest = await answer.json(content_type="application/manifest+json")
    assert (manifest["name"], manifest["display"], manifest["start_url"]) == ("示范小区", "standalone", "/")
    assert (await client.get(manifest["icons"][0]["src"])).status == 200
