"""What a recognizer is handed: a folder, keys, and which of the people it enrolled belong to a door."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from menwei import (
    AccessProfile,
    AccessRule,
    Actor,
    CredentialIdentifier,
    CredentialState,
    IdentifierType,
    PutProfile,
    SetProfiles,
    SetState,
    SetValidity,
)
from menwei.checking import check_all
from menwei.house import Menwei
from menwei.keys import WrapCost
from plugin_folder import DRIVER, plugins  # noqa: F401

DESK = Actor("周", "registrar")
LIN_CARD = CredentialIdentifier(IdentifierType.CARD, "uid", "A1A1A1A1")
LIN_FACE = CredentialIdentifier(IdentifierType.FACE, "subject", "s-lin")
WANG_FACE = CredentialIdentifier(IdentifierType.FACE, "subject", "s-wang")
EYE = """
import asyncio


class Seer(menwei.Recognizer):
    '''Would see whoever it is told of.'''

    name = "seer"
    identifier = menwei.IdentifierType.FACE
    format = "subject"

    class Config(menwei.Config):
        against: str = ""

    @classmethod
    def objections(cls, config, points, folder):
        assert folder.name == "eye"
        if config.against == "raise":
            raise ZeroDivisionError("a mistake in the plugin")
        return [menwei.Objection(("against",), "eye.not_here", {"point": point.id}) for point in points if config.against]

    async def run(self):
        await asyncio.Event().wait()


@menwei.hookimpl
def register_recognizers():
    return [Seer]
"""
MANIFEST = """\
name: eye
version: 1.0.0
api: ">=1,<2"
summary: {zh: 测试, en: a test}
permissions: {files: true, subjects: true}
"""
WORDS = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "eye.not_here"\nmsgstr "%s {point}"\n'
CONFIG = """
site: {{id: yard}}
data: var
plugins: {{eye: {options}}}
devices: {{cam: {{driver: gate}}, board: {{driver: gate}}}}
doors:
  gate:
    lock: board/1
    access_points:
      gate-in: {{cameras: cam, security_level: Card and Face}}
      gate-out: {{}}
profiles:
  residents: [{{access_points: [gate-in]}}]
  leavers: [{{access_points: [gate-out]}}]
"""


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch):
    monkeypatch.setattr("menwei.accounts.WrapCost", lambda: WrapCost(1, 8, 1))


@pytest.fixture
def site(plugins, tmp_path):  # noqa: F811
    home = plugins.package("menwei_eye", DRIVER.format(driver="gate") + EYE, manifest=MANIFEST)
    for language, word in (("zh_CN", "这里不行"), ("en", "not here:")):
        folder = home / "locale" / language / "LC_MESSAGES"
        folder.mkdir(parents=True)
        (folder / "menwei.po").write_text(WORDS % word, "utf-8")

    def write(options="{}"):
        path = tmp_path / "config.yaml"
        path.write_text(CONFIG.format(options=options), "utf-8")
        return path

    return write


@asynccontextmanager
async def opened(path):
    house = await Menwei.open(path)
    try:
        yield house
    finally:
        await house.stop()


@pytest.fixture
async def house(site):
    async with opened(site()) as running:
        yield running


async def enter(house, *identifiers, profiles=("residents",)):
    """A person with one credential for each identifier; the credentials' ids."""
    holder = await house.people.add("林", actor=DESK)
    return [
        await house.people.add_credential(
            holder, [one], profiles=profiles if one == LIN_CARD else (), actor=DESK
        )
        for one in identifiers
    ]


async def apply(house, *changes):
    async with house.store.transaction() as tx:
        await house.rights.apply(tx, changes, actor=DESK)


def subjects_of(house):
    return house.context(house.plugins["eye"]).subjects


def admitted(house, point="gate-in"):
    return subjects_of(house).admitted(point, ["s-lin", "s-wang", "A1A1A1A1", "nobody"])


async def test_somebody_belongs_to_a_door_by_any_of_their_credentials(house):
    await enter(house, LIN_CARD, LIN_FACE)
    assert admitted(house) == {"s-lin"}
    assert admitted(house, "gate-out") == frozenset()


async def test_somebody_without_a_rule_belongs_to_no_door(house):
    await enter(house, WANG_FACE)
    assert admitted(house) == frozenset()


async def test_a_card_is_no_subject_of_a_recognizer_for_faces(house):
    await enter(house, LIN_CARD)
    assert admitted(house) == frozenset()
    assert subjects_of(house).credential("A1A1A1A1") is None


async def test_the_credential_of_a_subject_is_named_by_its_number(house):
    _, face = await enter(house, LIN_CARD, LIN_FACE)
    assert subjects_of(house).credential("s-lin") == face
    assert subjects_of(house).credential("nobody") is None


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("state", [CredentialState.LOST, CredentialState.ENDED, CredentialState.DISABLED])
async def test_nobody_belongs_to_a_door_with_a_card_or_a_face_that_is_out_of_use(house, which, state):
    credentials = await enter(house, LIN_CARD, LIN_FACE)
    await apply(house, SetState(credentials[which], state))
    assert admitted(house) == frozenset()


@pytest.mark.parametrize("which", [0, 1])
async def test_what_is_over_admits_nobody_and_what_begins_later_does(house, which):
    credentials = await enter(house, LIN_CARD, LIN_FACE)
    now = house.clock.now()
    await apply(house, SetValidity(credentials[which], now + 1000, now + 2000))
    assert admitted(house) == {"s-lin"}
    await apply(house, SetValidity(credentials[which], now - 2000, now - 1000))
    assert admitted(house) == frozenset()


async def test_every_change_of_rights_is_told_until_it_is_ended(house):
    card, _ = await enter(house, LIN_CARD, LIN_FACE)
    seen = []
    end = subjects_of(house).on_change(lambda: seen.append(admitted(house)))
    await apply(house, SetProfiles(card, ("leavers",)))
    await apply(house, PutProfile(AccessProfile("leavers2", (AccessRule(frozenset({"gate-in"}), "always"),))))
    await apply(house, SetProfiles(card, ("leavers2",)))
    assert seen == [frozenset(), frozenset(), {"s-lin"}]
    house.rights.snapshot.set_config_profiles([])
    assert len(seen) == 4
    end()
    end()
    await apply(house, SetProfiles(card, ()))
    assert len(seen) == 4


async def test_a_plugin_has_a_folder_and_keys_that_are_its_own(house):
    files = house.context(house.plugins["eye"]).files
    assert files.folder == house.data / "eye" and not files.folder.exists()
    assert len(files.subkey("vault")) == 32
    assert files.subkey("vault") == files.subkey("vault") != files.subkey("other")


# ------------------------------------------------------------------------------------------------------- objections


def test_what_a_recognizer_objects_to_is_told_at_its_place_in_both_languages(site):
    assert check_all(site()) == []
    (problem,) = check_all(site("{against: all}"))
    assert problem.path == "plugins.eye.against"
    assert problem.text("zh-CN").endswith("这里不行 gate-in")
    assert problem.text("en").endswith("not here: gate-in")


async def test_what_a_recognizer_objects_to_is_a_repair_of_the_running_site(site):
    async with opened(site("{against: all}")) as house:
        (repair,) = [one for one in house.repairs() if one.key.startswith("option:")]
        assert "gate-in" in house.messages.t("en", repair.message, **repair.values)


def test_a_recognizer_that_fails_to_object_is_named(site):
    (problem,) = check_all(site("{against: raise}"))
    assert problem.path == "plugins.eye" and "a mistake in the plugin" in problem.text("en")
