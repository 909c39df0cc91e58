from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from menwei import messages, yamlfile
from menwei.problems import Place
from menwei.yamlfile import Document, parse, plain, read


def keys(document: Document) -> list[str]:
    return [problem.key for problem in document.problems]


def write(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's readers: with libyaml, and without."""
    monkeypatch.setattr(yamlfile, "_Loader", getattr(yaml, request.param))


def test_a_file_becomes_plain_data_with_the_place_of_every_key() -> None:
    document = parse("doors:\n  gate:\n    lock: sim/1\n    readers: [a, b]\n", "config.yaml")
    assert document.data == {"doors": {"gate": {"lock": "sim/1", "readers": ["a", "b"]}}}
    assert document.places[("doors", "gate", "lock")] == Place("config.yaml", 3, 5)
    assert document.places[("doors", "gate", "readers", 1)] == Place("config.yaml", 4, 18)
    assert not document.problems


@pytest.mark.usefixtures("loader")
def test_columns_count_characters_and_not_bytes() -> None:
    document = parse("site: {name: 示范小区, id: yard}\n", "config.yaml")
    assert document.places[("site", "id")].column == 20


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:00", "22:00"), ("2026-10-01", "2026-10-01"), ("no", "no"), ("on", "on"), ("007", "007"), ("1_000", "1_000"), ("0x10", "0x10"),
        ("5s", "5s"), ("-", "-"), (".", "."), ("1e5", 1e5), ("1e999", "1e999"), ("12", 12), ("-3", -3), ("1.50", 1.5), (".5", 0.5), ("true", True),
        ("False", False), ("", None), ("~", None), ("null", None), ("9" * 30, "9" * 30), ("1.2.3.4", "1.2.3.4"), ("٣", "٣"), (".inf", ".inf"), ("nan", "nan"),
    ],
)  # fmt: skip
def test_plain_scalars_hold_no_surprises(text: str, value: object) -> None:
    found = plain(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.usefixtures("loader")
def test_quoted_text_stays_text() -> None:
    assert parse("a: '12'\nb: \"true\"\nc: |\n  5\n", "f").data == {"a": "12", "b": "true", "c": "5\n"}


def test_a_duplicate_key_names_both_places() -> None:
    document = parse("doors:\n  gate: {lock: a/1}\n  side: {}\n  gate: {lock: b/1}\n", "config.yaml")
    [problem] = document.problems
    assert (
        problem.text("en")
        == "config.yaml:4:3: doors.gate: “gate” stands here twice; first at config.yaml:2:3"
    )
    assert problem.text("zh-CN") == "config.yaml:4:3: doors.gate: “gate”重复，第一处在 config.yaml:2:3"
    assert document.data == {"doors": {"gate": {"lock": "a/1"}, "side": {}}}


@pytest.mark.parametrize(
    ("text", "key", "line", "column"),
    [
        ("a: &x 1\n", "config.alias", 1, 4),
        ("a: 1\nb: *x\n", "config.alias", 2, 4),
        ("a: !!python/object/apply:os.system [reboot]\n", "config.tag", 1, 4),
        ("a: !secrets x\n", "config.tag", 1, 4),
        ("? [a, b]\n: 1\n", "config.bad_key", 1, 3),
        ("a: 1\n'': 2\n", "config.bad_key", 2, 1),
        ("a: 1\n---\nb: 2\n", "config.second_document", 2, 1),
        ("a: [1\nb: 2\n", "config.syntax.bracket", 2, 2),
        ("a: {b: 1\nc: 2\n", "config.syntax.bracket", 2, 2),
        ("a: 1\n\tb: 2\n", "config.syntax.tab", 2, 1),
        ("a:\n  b: x\n\tc: 2\n", "config.syntax.tab", 3, 1),
        ('a: {b: "c}\nd: 1\n', "config.syntax.quote", 1, 8),
        ("a: it's\nb: 'x\n", "config.syntax.quote", 2, 4),
        ("a: 08:00 - night: 1\n", "config.syntax.colon", 1, 17),
        ("site\nid: a\n", "config.syntax.colon", 2, 3),
        ("a: @gate\n", "config.syntax.character", 1, 4),
        ("a:\n  b: 1\n c: 2\n", "config.syntax.indent", 3, 2),
        ("a: 1\ngate\nb\n", "config.syntax.no_colon", 2, 1),
        ("a: 1\nb: x\x01y\n", "config.syntax", 2, 5),
        ("a: " + "[" * 100_000, "config.too_deep", 1, 35),
        ("{a: " * 40, "config.too_deep", 1, 129),
    ],
)
@pytest.mark.usefixtures("loader")
def test_what_the_file_may_not_hold_is_told_at_its_place(text: str, key: str, line: int, column: int) -> None:
    problem = parse(text, "f").problems[0]
    assert (problem.key, problem.line, problem.column) == (key, line, column)


@pytest.mark.parametrize(
    ("text", "zh", "en"),
    [
        ("a:\n\tb: 1\n", "制表符", "indent with spaces"),
        ("a: {b: 1\nc: 2\n", "1:4 处的 { 没有结束", "the { at 1:4 is not closed"),
        ("a: @gate\n", "文字不能以 @ 开头", "no text begins with @"),
    ],
)
@pytest.mark.usefixtures("loader")
def test_a_mistake_in_yaml_is_told_in_words_that_say_what_to_do(text: str, zh: str, en: str) -> None:
    problem = parse(text, "f").problems[0]
    assert zh in problem.text("zh-CN")
    assert en in problem.text("en")


def test_all_problems_of_a_file_are_found_in_one_run() -> None:
    document = parse("a: &x 1\na: 2\nb: !!set {}\nc: {d: 1, d: 2}\n", "f")
    assert keys(document) == ["config.alias", "config.duplicate", "config.tag", "config.duplicate"]


def test_an_absent_file_is_a_problem_of_its_own(tmp_path: Path) -> None:
    assert keys(read(tmp_path / "config.yaml")) == ["config.no_file"]
    assert keys(read(tmp_path)) == ["config.unreadable"]


def test_bytes_that_are_not_utf_8_are_told_where_they_are(tmp_path: Path) -> None:
    document = read(write(tmp_path / "config.yaml", "a: 1\nb: 门".encode() + b"\xff\n"))
    [problem] = document.problems
    assert (problem.key, problem.line, problem.column) == ("config.not_utf8", 2, 5)


def test_a_file_of_megabytes_is_not_even_parsed(tmp_path: Path) -> None:
    assert keys(read(write(tmp_path / "config.yaml", b"a" * (yamlfile.LARGEST + 1)))) == ["config.too_large"]


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert read(write(tmp_path / "config.yaml", b"\xef\xbb\xbfsite: {}\n")).data == {"site": {}}


def test_a_secret_comes_from_the_file_beside(tmp_path: Path) -> None:
    write(tmp_path / "secrets.yaml", "relay: 0042\n")
    document = read(write(tmp_path / "config.yaml", "devices: {a: {password: !secret relay}}\n"))
    assert document.data == {"devices": {"a": {"password": "0042"}}}
    assert document.secret == {("devices", "a", "password")}
    assert not document.problems


def test_secrets_that_others_can_read_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "secrets.yaml", "relay: hunter2\n", 0o640)
    document = read(write(tmp_path / "config.yaml", "a: !secret relay\nb: !secret relay\n"))
    [problem] = document.problems
    assert problem.text("en") == (
        f"{tmp_path}/secrets.yaml:1:1: other users can read this file (mode 0640) · run: chmod 600 {tmp_path}/secrets.yaml"
    )
    assert document.data == {"a": None, "b": None}


def test_a_secret_nobody_wrote_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    write(tmp_path / "secrets.yaml", "relay-gate: hunter2\n")
    [problem] = read(write(tmp_path / "config.yaml", "a: !secret relay_gate\n")).problems
    assert (problem.key, problem.line, problem.column) == ("config.secret_unknown", 1, 4)
    assert "relay-gate" in problem.text("en")
    assert "hunter2" not in problem.text("en")


def test_a_missing_secrets_file_is_told(tmp_path: Path) -> None:
    assert keys(read(write(tmp_path / "config.yaml", "a: !secret x\n"))) == ["config.secrets_missing"]


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "- hunter2\n",
        "a: {b: hunter2}\n",
        "a: !secret hunter2\n",
        "a: hunter2\na: hunter2\n",
        "a: [hunter2\n",
    ],
)
def test_a_broken_secrets_file_is_told_without_the_secret(tmp_path: Path, text: str) -> None:
    write(tmp_path / "secrets.yaml", text)
    document = read(write(tmp_path / "config.yaml", "a: !secret x\n"))
    assert document.problems
    for problem in document.problems:
        assert "hunter2" not in problem.text("en") + repr(problem)


yaml_like = st.text(
    alphabet=st.sampled_from("ab:-[]{},&*!|>'\"#%@`?\n \t\\x0\u0085é门\ufeff\0~=<U9"), max_size=60
)


@given(st.text() | yaml_like)
@settings(max_examples=settings.default.max_examples * 3)
def test_any_text_is_data_or_problems(text: str) -> None:
    document = parse(text, "f")
    for problem in document.problems:
        assert problem.line >= 1 and problem.column >= 1
        for language in messages.LANGUAGES:
            assert "\n" not in problem.text(language)


@given(st.binary(max_size=200))
@settings(max_examples=settings.default.max_examples * 2)
def test_any_bytes_are_data_or_problems(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    document = read(write(tmp_path_factory.getbasetemp() / "any.yaml", data))
    assert (
        document.data is None
        or document.problems
        or isinstance(document.data, dict | list | str | int | float | bool)
    )


trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**59), 2**59) | st.integers(-9999, 9999).map(lambda eighths: eighths / 8) | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff\ufffe\uffff")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef-", min_size=1), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text("abc", min_size=1), trees))
def test_what_a_yaml_writer_writes_is_read_back(data: dict[str, object]) -> None:
    # Quoted text, so that the writer's YAML 1.1 and our 1.2 mean the same.
    class Quoted(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    Quoted.add_representer(
        str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    )
    document = parse(yaml.dump(data, Dumper=Quoted, allow_unicode=True), "f")
    assert not document.problems
    assert document.data == data


@pytest.mark.parametrize(
    "escape", ['"\\UFFFFFFFF"', '"\\U00110000"', '"\\uD800"', "%YAML " + "1" * 9000 + ".1\n---\n", "\ud800"]
)
@pytest.mark.usefixtures("loader")
def test_impossible_characters_and_directives_are_problems(escape: str) -> None:
    document = parse(f"{escape}\n", "f")
    assert keys(document) == ["config.syntax"]
