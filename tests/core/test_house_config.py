"""What a site does with a config that changes: what is refused is refused whole, before anything was written or taken over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from menwei import AccessProfile, AccessRule, Actor, PutProfile
from menwei.adoption import AdoptionError, NewDoor
from menwei.discovery import Discovery
from menwei.house import ConfigRefused, Menwei
from menwei.keys import WrapCost
from menwei.reports import Discovered
from plugin_folder import DRIVER, PluginFolder, plugins  # noqa: F401

PROGRAM = Actor("visitors", "operator", "program")
CONFIG = """\
site: {id: yard}
data: var
plugins: {gatekit: }
devices: {board: {driver: gatekit}}
doors:
  gate:
    lock: board/1
    access_points: {gate-in: {readers: [board/in]}}
profiles:
  residents: [{access_points: [gate-in]}]
"""
FOUND = Discovered("board-7", "gatekit", "门控板 7", "127.0.0.1:40007", "mdns", {"host": "127.0.0.1"}, {})
READERS = 'menwei.DeviceInfo("1", "gate"'


@pytest.fixture
async def house(
    plugins: PluginFolder,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Menwei]:
    """Opened and not started: no device is connected."""
    monkeypatch.setattr("menwei.accounts.WrapCost", lambda: WrapCost(1, 8, 1))
    monkeypatch.setattr(Discovery, "devices", {FOUND.id: FOUND})
    driver = DRIVER.format(driver="gatekit").replace(READERS, f'{READERS}, locks=("1",), readers=("in",)')
    plugins.package("menwei_gatekit", driver)
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG, "utf-8")
    opened = await Menwei.open(path)
    try:
        yield opened
    finally:
        await opened.stop()


def edit(house: Menwei, before: str, after: str) -> None:
    text = house.path.read_text("utf-8")
    assert before in text
    house.path.write_text(text.replace(before, after), "utf-8")


async def store(house: Menwei, profile: str) -> None:
    """A plugin puts a profile of its own into the store."""
    made = AccessProfile(profile, (AccessRule(frozenset({"gate-in"}), "always"),))
    async with house.store.transaction() as tx:
        await house.rights.apply(tx, [PutProfile(made)], actor=PROGRAM)


async def test_a_device_is_not_taken_into_a_config_with_a_mistake(house: Menwei) -> None:
    edit(house, "data: var", "data: var\nbogus: 1")
    with pytest.raises(AdoptionError) as refused:
        await house.adopt("board-7", "cellar", [NewDoor("cellar", "自行车库")])
    assert f"{house.path}:3:1: bogus" in refused.value.text("en")
    assert not house.path.with_name("adopted.yaml").exists()

    edit(house, "bogus: 1\n", "")
    await house.adopt("board-7", "cellar", [NewDoor("cellar", "自行车库")])
    assert set(house.doors) == {"gate", "cellar"}


async def test_a_config_that_lacks_only_what_is_adopted_is_in_order_with_it(house: Menwei) -> None:
    edit(house, "[gate-in]}]\n", "[gate-in, cellar-in]}]\n")
    await house.adopt("board-7", "cellar", [NewDoor("cellar", "自行车库", access_points={"cellar-in": "in"})])
    assert set(house.line.points) == {"gate-in", "cellar-in"}


async def test_a_profile_that_the_store_has_too_is_refused_at_its_place_and_nothing_is_taken_over(
    house: Menwei,
) -> None:
    await store(house, "night")
    edit(house, "access_points: {gate-in:", "access_points: {door-in:")
    edit(house, "residents: [{access_points: [gate-in]}]", "night: [{access_points: [door-in]}]")
    with pytest.raises(ConfigRefused) as refused:
        await house.reload()
    assert refused.value.problems[0].text("en").startswith(f"{house.path}:10:3: profiles.night: ")
    assert (set(house.site.access_points), set(house.line.points)) == ({"gate-in"}, {"gate-in"})
    assert set(house.settings.profiles) == {"residents"}

    with pytest.raises(AdoptionError):
        await house.adopt("board-7", "cellar", [NewDoor("cellar", "自行车库")])
    assert not house.path.with_name("adopted.yaml").exists()


async def test_a_site_whose_config_and_store_have_a_profile_of_one_name_says_where_and_does_not_start(
    house: Menwei,
) -> None:
    await store(house, "night")
    edit(house, "residents:", "night:")
    await house.stop()
    with pytest.raises(ConfigRefused) as refused:
        await Menwei.open(house.path)
    assert f"{house.path}:10:3: profiles.night: " in str(refused.value)


async def test_a_plugin_that_runs_and_is_no_longer_named_is_told_before_a_device_is_taken_in(
    house: Menwei,
) -> None:
    edit(house, "plugins: {gatekit: }", "plugins: {console: }")
    with pytest.raises(AdoptionError) as refused:
        await house.adopt("board-7", "cellar", [NewDoor("cellar", "自行车库")])
    assert f"{house.path}:3:1: plugins: the plugin gatekit still runs" in refused.value.text("en")
    assert not house.path.with_name("adopted.yaml").exists()
    assert set(house.doors) == {"gate"}
