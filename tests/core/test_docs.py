"""The docs name every hook, setting, command and reason that the code has, and none that it has not."""

import re
from pathlib import Path

import pytest
import typer

from menwei import cli
from menwei.hookspecs import Hooks
from menwei.model import Reason
from menwei.settings import AccessPointSection, DoorSection, Settings
from menwei.version import __version__

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def text(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def in_tables(page: str, pattern: str) -> set[str]:
    """What stands in backticks at the beginning of the rows of a page's tables."""
    return {match[1] for line in page.splitlines() if (match := re.match(rf"\| `({pattern})", line))}


def test_every_hook_is_in_the_plugin_authors_page_and_no_other():
    assert in_tables(text("plugins.md"), r"register_\w+") == {
        name for name in vars(Hooks) if name.startswith("register_")
    }


def test_every_reason_is_in_the_plugin_authors_page_and_no_other():
    page = text("plugins.md")
    section = page[page.index("## Reasons") :]
    assert in_tables(section, r"[A-Z]\w+") == {str(reason) for reason in Reason}


def commands(app: typer.Typer, before: str = "menwei") -> set[str]:
    group = typer.main.get_command(app)
    found = set()
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            found |= {f"{before} {name} {inner}" for inner in command.commands}
        else:
            found.add(f"{before} {name}")
    return found


def test_every_command_is_in_the_page_of_commands_and_no_other():
    cli.add_groups()
    declared = {
        f"menwei {name}" for name, plugin in cli._declared().items() if plugin.package.startswith("menwei_")
    }
    assert in_tables(text("commands.md"), r"menwei [a-z ]+") == commands(cli.app) | declared


@pytest.mark.parametrize(("model", "begin", "end"), [
    (Settings, "| 节 / section", "## 门"),
    (DoorSection, "## 门", "通行点 / access point"),
    (AccessPointSection, "通行点 / access point", "## 时段"),
])  # fmt: skip
def test_every_setting_is_in_the_page_of_the_configuration_and_no_other(model, begin, end):
    page = text("configuration.md")
    section = page[page.index(begin) : page.index(end)]
    cells = {
        word
        for line in section.splitlines()
        if line.startswith("|")
        for word in re.findall(r"`([a-z_]+)`", line.split("|")[1])
    }
    assert cells == {field.alias or name for name, field in model.model_fields.items()}


def test_the_keys_inside_the_sections_are_in_the_page_of_the_configuration():
    page = text("configuration.md")
    for name, field in Settings.model_fields.items():
        inner = getattr(field.annotation, "model_fields", {})
        missing = [key for key in inner if f"`{key}`" not in page]
        assert missing == [], f"{name}: {missing}"


@pytest.mark.parametrize(
    "page", sorted(path.name for path in [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
)
def test_every_link_to_a_file_leads_somewhere(page):
    folder = DOCS if (DOCS / page).exists() else ROOT
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (folder / page).read_text("utf-8"))
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_version_is_the_same_wherever_it_stands():
    assert (
        re.search(r"^version = (.+)$", (ROOT / "setup.cfg").read_text("utf-8"), re.MULTILINE)[1]
        == __version__
    )
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
