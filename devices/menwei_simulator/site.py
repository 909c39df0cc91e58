"""The site of a story: its config files as an installer would write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from menwei_simulator.scene import Story

ZONE = "Asia/Shanghai"
Say = Callable[..., str]
"""A sentence of the demonstration in the chosen language: key, values."""

TIMES: Mapping[str, Any] = {"release_time": 1, "open_time": 3, "pre_alarm_time": 1.5}
"""Seconds. Far too short for people; short enough to watch a door being held open."""


def config_text(story: Story, language: str, say: Say, now: float) -> str:
    """The config before anything is adopted: no device, no door."""
    site = {
        "id": "demo",
        "name": say(f"simulator.demo.site.{story.id}"),
        "time_zone": ZONE,
        "language": language,
    }
    return "\n".join(
        [
            "# The demonstration's site, written by `menwei demo`.",
            _dump({"site": site}),
            "web: {host: 127.0.0.1, port: 8460}",
            "data: ./var",
            "discovery: {interfaces: [127.0.0.1]}",
            _dump({"plugins": story.plugins}),
            _dump(story.sections(now)),
        ]
    )


def adopt_words(story: Story, controller: str, say: Say) -> tuple[list[str], list[str]]:
    """A controller's doors as the options of `menwei adopt` name them: `--door`s, `--access-point`s."""
    doors, points = [], []
    several = len(story.doors_of(controller)) > 1
    for door in story.doors_of(controller):
        lock = f":{door.lock}" if several else ""
        doors.append(f"{door.id}{lock}={say(door.name, number=door.number)}")
        points.append(f"{door.inside}={door.reader}")
        if door.leaving:
            points.append(f"{door.outside}={door.leaving}")
    return doors, points


def finish(story: Story, config: Path) -> None:
    """What an installer writes after adopting: the doors' times, what the story's access points have besides, and who
    may pass where."""
    adopted = config.with_name("adopted.yaml")
    text = adopted.read_text(encoding="utf-8")
    found = yaml.safe_load(text)
    for door in story.doors:
        entry = found["doors"][door.id]
        entry |= TIMES
        for point, facts in entry["access_points"].items():
            facts |= story.points.get(point, {})
    header = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    adopted.write_text(header + _dump(found), encoding="utf-8")
    with config.open("a", encoding="utf-8") as file:
        file.write(_dump({"profiles": story.profiles}))


class _Plain(yaml.SafeDumper):
    """Writes out what stands in several places each time: a config has no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _dump(data: Mapping[str, Any]) -> str:
    if not data:
        return ""
    return yaml.dump(dict(data), Dumper=_Plain, allow_unicode=True, sort_keys=False, width=1_000)
