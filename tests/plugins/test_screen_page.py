"""The tablet's page is what an old browser understands, and brings everything along."""

import re
from importlib import resources

import pytest

STATIC = resources.files("menwei_screen") / "static"
LATER_THAN_2015 = {
    "arrow to optional members (2020)": r"\?\.(?!\d)",
    "?? (2020)": r"\?\?",
    "async functions (2017)": r"\b(async|await)\b",
    "** (2016)": r"\*\*",
    "spread of objects (2018)": r"\{\s*\.\.\.",
    "catch without a name (2019)": r"catch\s*\{",
    "modules": r"^\s*(import|export)\b",
    "fetch": r"\bfetch\(",
    "Array.includes, Object.entries, padStart, flat": r"\.(includes|entries|values|padStart|flat|flatMap|at|replaceAll)\(",
    "trailing comma in a call (2017)": r",\s*\)",
}


def code(name: str) -> str:
    """A file without its comments."""
    text = (STATIC / name).read_text("utf-8")
    return re.sub(r"/\*.*?\*/|(?<![:\"'])//[^\n]*", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("what", list(LATER_THAN_2015))
def test_the_script_needs_no_browser_younger_than_its_docs_say(what):
    found = re.findall(LATER_THAN_2015[what], code("screen.js"), re.MULTILINE)
    assert found == [], what


@pytest.mark.parametrize(
    "what", [r"\bgrid\b", r"\bgap\s*:", r"clamp\(", r"\bmin\(", r"var\(--", r":has\(", r"\binset\b"]
)
def test_the_style_needs_none_either(what):
    assert re.findall(what, code("screen.css")) == []


@pytest.mark.parametrize("name", ["screen.js", "screen.css"])
def test_nothing_is_fetched_from_elsewhere(name):
    assert re.findall(r"https?:|url\(|@import|//[a-z]", code(name)) == []


def test_the_script_writes_texts_and_never_html():
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", code("screen.js"))
        == []
    )
