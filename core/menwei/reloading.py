"""What a running site has against a config that is read anew, and what it makes of one: looked at before anything is
taken over, so that a refused config changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection

from menwei.config import Loaded
from menwei.problems import Fault, Problem
from menwei.schedules import Schedules
from menwei.settings import Settings
from menwei.site import Site
from menwei.upkeep import local_date


def against(loaded: Loaded, stored: Callable[[str], bool], running: Collection[str]) -> tuple[Problem, ...]:
    """`stored`: whether the store has a profile of this name. `running`: the plugins that were loaded at the start; they
    go with the next one, and until then nobody knows what one is allowed that the config names no longer."""
    if loaded.config is None:
        return ()
    faults = [
        *(
            Fault(("profiles", name), "config.profile_stored")
            for name in loaded.config.profiles
            if stored(name)
        ),
        *(
            Fault(("plugins",), "config.plugin_taken_out", {"plugin": name})
            for name in running
            if name not in loaded.config.plugins
        ),
    ]
    return tuple(loaded.problem(fault) for fault in faults)


def compiled(settings: Settings, site: Site, at: float) -> Schedules:
    """The schedules of a config, from the site's date at `at` on."""
    specs = {name: section.spec() for name, section in settings.schedules.items()}
    return Schedules.compile(specs, site.zone, local_date(at, site.zone))


__all__ = ["against", "compiled"]
