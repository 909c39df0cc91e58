"""The stories of `menwei demo` by name. Each is a module, imported when it is played."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Final, cast

from menwei_simulator.scene import Story

STORIES: Final[Mapping[str, str]] = {
    "street": "menwei_simulator.story",
    "estate": "menwei_simulator.estate",
    "village": "menwei_simulator.village",
    "wired": "menwei_simulator.wired",
}


def story_of(name: str) -> Story:
    """Raises `KeyError` for a name that is no story's."""
    return cast("Story", importlib.import_module(STORIES[name]).STORY)
