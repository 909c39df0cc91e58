"""`menwei-plugin.yaml`: read without importing, every mistake with its place."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei.manifest import Manifest, ManifestError, VersionRange, available, installed, read
from plugin_folder import plugins  # noqa: F401

GOOD = """\
name: gatekit
version: 1.2.3
api: ">=1,<2"
summary: {zh: 一种门, en: a kind of gate}
discovers:
  zeroconf:
    - type: _gate._tcp
      driver: gatekit
      id: "{txt.serial}"
      title: "{txt.model} {name}"
      config: {host: "{address}", port: "{port}", tls: true}
      where: {model: "gate*", vendor: [acme, "kone*"]}
permissions:
  facts: [AccessGranted]
  rights: true
  hosts: [cloud.example]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "menwei-plugin.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read(written(tmp_path, text))
    return [problem.text("en").removeprefix(str(tmp_path)) for problem in caught.value.problems]


def test_a_manifest_says_what_the_plugin_discovers_and_wants(tmp_path):
    manifest = read(written(tmp_path, GOOD))
    (rule,) = manifest.discovers.zeroconf
    assert (rule.type, rule.driver, rule.config["tls"]) == ("_gate._tcp.local.", "gatekit", True)
    assert rule.where == {"model": ["gate*"], "vendor": ["acme", "kone*"]}
    assert manifest.permissions.asked() == ("rights", "facts:AccessGranted", "hosts:cloud.example")


def test_rights_and_doors_are_had_only_when_the_config_allows_them(tmp_path):
    permissions = read(written(tmp_path, GOOD)).permissions
    assert "rights" not in permissions.allowed([])
    assert permissions.allowed(["rights", "doors"]) == (
        "rights",
        "facts:AccessGranted",
        "hosts:cloud.example",
    )


def test_every_mistake_of_a_manifest_is_told_with_its_place(tmp_path):
    text = GOOD.replace("1.2.3", "1.2").replace("{txt.serial}", "{serial}").replace("facts:", "fact:")
    told = mistakes(tmp_path, text)
    assert [line.split(": ", 2)[:2] for line in told] == [
        ["/menwei-plugin.yaml:2:1", "version"],
        ["/menwei-plugin.yaml:9:7", "discovers.zeroconf[0].id"],
        ["/menwei-plugin.yaml:14:3", "permissions.fact"],
    ]
    assert "{serial} is not one of" in told[1]


def test_a_plugin_shows_among_the_passages_only_what_it_publishes_itself(tmp_path):
    text = GOOD.replace("  rights: true", "  publishes: [Refused]\n  shows: [Refused]\n  rights: true")
    assert "shows:Refused" in read(written(tmp_path, text)).permissions.asked()
    (told,) = mistakes(tmp_path, text.replace("shows: [Refused]", "shows: [AccessGranted]"))
    assert told.startswith("/menwei-plugin.yaml:16:3: permissions.shows")
    assert "AccessGranted is not one of publishes" in told


def test_a_missing_key_is_named_at_the_part_that_lacks_it(tmp_path):
    assert "summary.zh: zh is missing" in mistakes(tmp_path, GOOD.replace("zh: 一种门, ", ""))[0]


@pytest.mark.parametrize("text", ["- a list", "", "name: [", "name: a\nname: b\n"])
def test_what_is_no_manifest_is_a_located_mistake_too(tmp_path, text):
    assert mistakes(tmp_path, text)[0].startswith("/menwei-plugin.yaml:")


@pytest.mark.parametrize(
    ("wants", "has", "fits"),
    [(">=1,<2", "1.0", True), (">=1,<2", "2.0", False), (">=1.1", "1.0", False), ("==1", "1.0", True), ("!=1.0,>0.9", "1", False), ("<=1.2", "1.10", False)],
)  # fmt: skip
def test_a_version_range_holds_or_not(wants, has, fits):
    assert VersionRange.parse(wants).contains(has) is fits


@given(st.text(max_size=30))
def test_a_version_range_is_read_or_refused_whatever_stands_there(text):
    try:
        wants = VersionRange.parse(text)
    except ValueError:
        return
    assert wants.contains("1.0") in (True, False)


def test_a_plugin_of_a_checkout_is_found_by_its_manifest_and_not_imported(plugins):  # noqa: F811
    plugins.package("menwei_gatekit", "raise RuntimeError('imported')")
    assert isinstance(available()["gatekit"], Manifest)
    assert "menwei_gatekit" not in sys.modules


def test_an_installed_plugin_is_found_by_its_entry_point_and_not_imported(plugins):  # noqa: F811
    plugins.package("acme_doors", "raise RuntimeError('imported')", entry_point="acme")
    found = installed()["acme"]
    assert (found.package, found.manifest.version) == ("acme_doors", "1.2.3")
    assert "acme_doors" not in sys.modules


def test_one_unreadable_manifest_hides_no_other_plugin(plugins):  # noqa: F811
    plugins.package("menwei_bad", manifest="name: 7\n")
    plugins.package("menwei_fine")
    assert "bad" not in available()
    assert "fine" in available()
    assert "bad/menwei-plugin.yaml:1:1: name" in installed()["bad"].faults[0].text("en")


def test_an_entry_point_without_a_package_or_manifest_says_so(plugins):  # noqa: F811
    home = plugins.package("acme_gone", entry_point="gone")
    for file in (*home.iterdir(), home):
        file.rmdir() if file.is_dir() else file.unlink()
    plugins.package("acme_plain", manifest="", entry_point="plain")
    found = installed()
    assert "cannot be found" in found["gone"].faults[0].text("en")
    assert "has no menwei-plugin.yaml" in found["plain"].faults[0].text("en")


def test_two_packages_under_one_name_are_both_refused(plugins):  # noqa: F811
    plugins.package("acme_doors", entry_point="doors")
    plugins.package("menwei_doors")
    found = installed()["doors"]
    assert found.manifest is None
    assert "acme_doors and menwei_doors" in found.faults[0].text("en")


def test_a_plugin_cannot_be_installed_under_another_name_than_it_says(plugins):  # noqa: F811
    plugins.package("acme_doors", manifest=GOOD, entry_point="simple")
    assert "gatekit" in installed()["simple"].faults[0].text("en")
