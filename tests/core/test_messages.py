from __future__ import annotations

import ast
import re
from itertools import chain, combinations
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from menwei import messages
from menwei.messages import (
    LANGUAGES,
    Catalogue,
    CatalogueError,
    Messages,
    UnknownMessage,
    placeholders,
    says,
    t,
)
from menwei.model import (
    CredentialState,
    DoorAlarm,
    DoorMode,
    DoorState,
    IdentifierType,
    Outcome,
    Reason,
    Verdict,
)

CORE = Path(messages.__file__).parent
FAMILY = re.compile(
    r"(door|reason|alarm|command|role)\.[A-Za-z_.-]*[A-Za-z_]|(config|schedule|card)\.(?!yaml$)[a-z0-9_]+(\.[a-z0-9_]+)?"
)


@pytest.fixture
def core() -> Catalogue:
    return Catalogue.of_folder("menwei", CORE / "locale")


def write_package(folder: Path, name: str, **texts: dict[str, str]) -> str:
    """A package that must not be imported, with catalogues by language."""
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')\n")
    for language, entries in texts.items():
        place = package / "locale" / language / "LC_MESSAGES"
        place.mkdir(parents=True)
        text = "\n\n".join(f'msgid "{key}"\nmsgstr "{value}"' for key, value in entries.items())
        (place / "menwei.po").write_text(text + "\n", encoding="utf-8")
    return name


def test_a_sentence_is_said_in_both_languages() -> None:
    assert t("zh-CN", "door.not_registered") == "未注册信息 · 请刷证件，或按门铃呼叫住户"
    assert t("en", "door.not_registered") == "Not registered · touch your card, or ring the flat"


@pytest.mark.parametrize(
    ("wanted", "language"),
    [("zh", "zh-CN"), ("zh_CN", "zh-CN"), ("zh-Hans-CN", "zh-CN"), ("EN-us", "en"), ("fr", "en"), ("", "en")],
)
def test_the_nearest_language_is_taken(wanted: str, language: str) -> None:
    assert t(wanted, "door.granted") == t(language, "door.granted")


def test_both_languages_have_the_same_keys(core: Catalogue) -> None:
    assert set(core.texts["zh-CN"]) == set(core.texts["en"])


def test_both_languages_have_the_same_placeholders(core: Catalogue) -> None:
    for key, text in core.texts["en"].items():
        assert placeholders(text) == placeholders(core.texts["zh-CN"][key]), key


def test_no_key_stands_twice_in_a_catalogue() -> None:
    for path in CORE.glob("locale/*/LC_MESSAGES/menwei.po"):
        keys = re.findall(r'^msgid "(.+)"$', path.read_text(encoding="utf-8"), re.MULTILINE)
        assert sorted(keys) == sorted(set(keys))


def test_placeholders_are_filled_once_and_only_by_name() -> None:
    text = t("en", "config.duplicate", name="{first} {0.__class__}", first="config.yaml:4:3")
    assert text == "“{first} {0.__class__}” stands here twice; first at config.yaml:4:3"


def test_a_sentence_at_the_door_needs_no_values(core: Catalogue) -> None:
    for key, text in core.texts["en"].items():
        if key.startswith("door."):
            assert not placeholders(text), key


def test_every_refusal_says_why_and_what_to_do_next_and_has_a_short_form(core: Catalogue) -> None:
    for texts in core.texts.values():
        for key in texts:
            if key.startswith("door.") and not key.startswith("door.pending.") and not key.endswith(".short"):
                assert " · " in texts[key], key
                assert len(texts[f"{key}.short"]) < len(texts[key]), key


def test_whatever_is_missing_at_the_door_there_is_a_sentence_that_asks_for_it() -> None:
    kinds = list(IdentifierType)
    for missing in chain.from_iterable(combinations(kinds, size) for size in range(1, len(kinds))):
        verdict = Verdict(Outcome.PENDING, missing=frozenset(missing))
        for language in LANGUAGES:
            assert says(language, verdict.says)


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("reason", Reason), ("mode", DoorMode), ("state", DoorState), ("alarm", DoorAlarm), ("outcome", Outcome),
        ("identifier", IdentifierType), ("credential", CredentialState),
    ],
)  # fmt: skip
def test_everything_that_has_a_name_in_the_standard_has_one_for_people(prefix: str, names: list[str]) -> None:
    for name in names:
        assert t("zh-CN", f"{prefix}.{name}") != t("en", f"{prefix}.{name}")


def test_a_refused_state_of_a_credential_has_its_sentence() -> None:
    for state in set(CredentialState) - {CredentialState.ENABLED}:
        assert says("en", f"door.{state.lower()}")


def test_an_unknown_key_is_an_error_here_and_a_logged_key_in_service() -> None:
    with pytest.raises(UnknownMessage):
        t("en", "no.such.key")
    with capture_logs() as logs:
        assert Messages().t("en", "no.such.key") == "no.such.key"
    assert [entry["key"] for entry in logs] == ["no.such.key"]


def test_a_missing_value_leaves_its_placeholder_and_a_log_line() -> None:
    with pytest.raises(UnknownMessage):
        t("en", "config.no_such_device")
    with capture_logs() as logs:
        assert Messages().t("en", "config.no_such_device") == "there is no device “{name}”"
    assert len(logs) == 1


def test_a_person_is_never_shown_a_key() -> None:
    with capture_logs() as logs:
        assert Messages().says("en", "my_policy.oops") == t("en", "door.denied")
        assert Messages().says("en", "my_policy.oops", short=True) == t("en", "door.denied.short")
    assert len(logs) == 2


def test_a_small_display_gets_the_short_sentence_where_there_is_one() -> None:
    assert says("zh-CN", "door.not_registered", short=True) == "未注册信息"
    assert says("en", "door.pending.pin", short=True) == says("en", "door.pending.pin")


def test_a_plugin_brings_its_own_sentences_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write_package(
        tmp_path,
        "quiet_plugin",
        zh_CN={"quiet.hours": "{from}后请勿打扰"},
        en={"quiet.hours": "Quiet after {from}"},
    )
    ours = Messages(strict=True)
    ours.add("quiet_plugin")
    assert ours.t("zh-CN", "quiet.hours", **{"from": "22:00"}) == "22:00后请勿打扰"
    assert ours.t("en", "quiet.hours", **{"from": "22:00"}) == "Quiet after 22:00"
    assert ours.all("en")["quiet.hours"] == "Quiet after {from}"
    with pytest.raises(UnknownMessage):
        Messages(strict=True).t("en", "quiet.hours")


def test_a_plugin_with_one_language_is_shown_in_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write_package(tmp_path, "chinese_plugin", zh_CN={"only.chinese": "只有中文"})
    ours = Messages(strict=True)
    ours.add("chinese_plugin")
    assert ours.t("en", "only.chinese") == "只有中文"


def test_a_plugin_cannot_reword_the_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write_package(tmp_path, "rude_plugin", en={"door.denied": "Come in"})
    ours = Messages()
    with pytest.raises(CatalogueError, match=r"rude_plugin.*door\.denied"):
        ours.add("rude_plugin")
    assert ours.t("en", "door.denied") == t("en", "door.denied")


def test_a_package_without_catalogues_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write_package(tmp_path, "wordless_plugin")
    for name in ("wordless_plugin", "no_such_plugin_anywhere"):
        with pytest.raises(CatalogueError, match=name):
            Messages().add(name)


def test_a_broken_catalogue_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write_package(tmp_path, "broken_plugin", en={"a.b": "fine"})
    (tmp_path / "broken_plugin/locale/en/LC_MESSAGES/menwei.po").write_bytes(
        b'msgid "a.b"\nmsgstr "\xff\xfe"\nrubbish\n'
    )
    with pytest.raises(CatalogueError, match=r"menwei\.po"):
        Messages().add("broken_plugin")


def literal_keys(source: str) -> set[str]:
    """Message keys that stand in code: arguments of t(), says(), Check(), Refuse(), Fault(), Problem() …, and every
    literal of a family that only messages have."""
    keys: set[str] = set()
    position = {
        "t": 1,
        "says": 1,
        "words": 1,
        "Check": 1,
        "Refuse": 0,
        "Fault": 1,
        "CalendarError": 0,
        "CardFormatError": 0,
    }
    tree = ast.parse(source)
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in pieces:  # the beginning of a key that is put together
            continue
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            at = position.get(name)
            candidates = [k.value for k in node.keywords if k.arg in {"says", "message"}]
            if at is not None and len(node.args) > at:
                candidates.append(node.args[at])
            keys |= {
                c.value
                for c in candidates
                if isinstance(c, ast.Constant) and isinstance(c.value, str) and "." in c.value
            }
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and FAMILY.fullmatch(node.value):
            keys.add(node.value)
    return keys


def test_every_key_that_stands_in_the_code_exists(core: Catalogue) -> None:
    missing = {
        (path.name, key)
        for path in CORE.rglob("*.py")
        for key in literal_keys(path.read_text(encoding="utf-8"))
        if key not in core.texts["en"]
    }
    assert not missing


def test_the_search_for_keys_finds_them() -> None:
    source = 't(language, "a.b")\nCheck(Reason.OTHER, "door.shut")\nRepair("x", message="c.d")\nx = "door.open_please"\ny = "config.odd"'
    assert literal_keys(source) == {"a.b", "door.shut", "c.d", "door.open_please", "config.odd"}
