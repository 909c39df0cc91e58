"""The recognizers of a whole site: found through the plugins, configured by `cameras:`, checked before the start."""

from __future__ import annotations

import asyncio

import pytest

from menwei.checking import check_all
from menwei.config import load
from menwei.house import Menwei
from menwei.supervisor import DeviceState
from plugin_folder import DRIVER, plugins  # noqa: F401

SEER = """
import asyncio


class Seer(menwei.Recognizer):
    '''Sees one person as soon as it runs.'''

    name = "seer"
    identifier = menwei.IdentifierType.FACE
    format = "subject"

    class Config(menwei.Config):
        strict: int = 1

    async def run(self):
        self.report.ready()
        mine = [point.id for point in self.context.site.access_points.values() if point.watched_for(self.identifier)]
        self.report(menwei.Recognition(mine[0], "nobody-we-know", 0.5, self.context.clock.monotonic()))
        await asyncio.Event().wait()


@menwei.hookimpl
def register_recognizers():
    return [Seer]
"""
CONFIG = """
site: {{id: yard}}
plugins:
  eye:{options}
devices:
  cam: {{driver: gate}}
  board: {{driver: gate}}
doors:
  gate:
    lock: board/1
    access_points:
      gate-in: {{cameras: {cameras}, security_level: {level}}}
      gate-out: {{cameras: {other}}}
"""


@pytest.fixture
def site(plugins, tmp_path):  # noqa: F811
    plugins.package("menwei_eye", DRIVER.format(driver="gate") + SEER)

    def write(options="", cameras="cam", level="Face", other="[]"):
        path = tmp_path / "config.yaml"
        path.write_text(
            CONFIG.format(options=options, cameras=cameras, level=level, other=other), encoding="utf-8"
        )
        return path

    return write


def keys(problems):
    return [problem.key for problem in problems]


def test_an_access_point_with_a_camera_that_a_recognizer_serves_is_in_order(site):
    assert check_all(site()) == []


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"cameras": "kam"}, "config.no_such_device"),
        ({"other": "cam", "level": "Card or Face"}, "config.camera_twice"),
        ({"level": "Card"}, "config.camera_unused"),
        ({"level": "Card and QRCode"}, "config.camera_unused"),
    ],
)
def test_a_mistake_with_a_camera_is_told_at_its_place(site, changes, key):
    (problem,) = check_all(site(**changes))
    assert problem.key == key
    assert problem.path.startswith("doors.gate.access_points.gate-") and ".cameras" in problem.path


def test_wrong_options_of_a_recognizer_are_told(site):
    (problem,) = check_all(site(options=" {strict: much}"))
    assert problem.path == "plugins.eye.strict"


def test_the_cameras_are_facts_of_the_access_point(site):
    loaded = load(site(cameras="[cam, board]"))
    assert loaded.config.doors["gate"].access_points["gate-in"].cameras == ["cam", "board"]


async def test_a_site_runs_its_recognizers_and_decides_what_they_see(site):
    house = await Menwei.open(site())
    try:
        await house.start()
        async with asyncio.timeout(60):
            while not (denied := await house.journal.read(kinds={"AccessDenied"})):
                await asyncio.sleep(0.02)
        assert house.recognizers.states() == {"eye.seer": (DeviceState.READY, "")}
        assert denied[0].data["recognition"] == {"recognizer": "eye.seer", "score": 0.5}
        assert denied[0].access_point == "gate-in"
    finally:
        await house.stop()
