"""What `menwei doctor` and the console list: troubles a person can mend, each once, with what to do."""

from __future__ import annotations

import importlib.metadata
import shutil
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from menwei import anew, certificate
from menwei.complaints import complaints
from menwei.context import Repair
from menwei.loader import PluginState
from menwei.plugin import Policy
from menwei.site import door_missing
from menwei.upkeep import local_date, local_time

if TYPE_CHECKING:
    from menwei.house import Menwei

FREE_DISK = 200 * 1024 * 1024
"""Bytes. A journal of a large estate grows by some 10 MB a day; this leaves weeks to act."""
HORIZON_WARNING = timedelta(days=30)


def collect(house: Menwei) -> list[Repair]:
    """Everything that could be mended now, the gravest first. Called on demand; reads memory and asks the disk."""
    found = [*_clock(house), *_journal(house), *_disk(house.data), *_schedules(house), *_certificate(house)]
    found += anew.repairs(house.data, house.made_anew)
    found += house.upkeep.repairs() if house.upkeep is not None else []
    found += opencv()
    found += [
        Repair(
            f"option:{problem.path}", "repair.option", {"detail": problem.text(house.site.language)}, "error"
        )
        for problem in house.option_problems
    ]
    found += _forms(house)
    for plugin in house.plugins.values():
        if plugin.state is not PluginState.OK:
            values = {"plugin": plugin.name, "detail": plugin.explain(house.site.language)}
            found.append(Repair(f"plugin:{plugin.name}", "repair.plugin", values, "error"))
    for name, why in house.line.panel.troubles().items():
        found.append(Repair(f"policy:{name}", "repair.policy", {"policy": name, "detail": why}, "error"))
    for policy in house.line.panel.policies:
        found += _of_policy(policy)
    for runner in getattr(house, "notifiers", []):
        found += runner.repairs()
    found += house.unmade
    found += house.services.repairs()
    found += house.supervisor.repairs()
    found += house.recognizers.repairs()
    found += house.boards.repairs()
    found += house.discovery.repairs()
    unique = {repair.key: repair for repair in found}
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(unique.values(), key=lambda repair: order.get(repair.severity, 3))


def _clock(house: Menwei) -> list[Repair]:
    behind = house.clock.behind
    if not behind:
        return []
    zone = house.site.zone
    values = {
        "machine": local_time(house.clock.machine, zone),
        "trusted": local_time(house.clock.now(), zone),
    }
    return [Repair("clock", "repair.clock", values, "error")]


def _journal(house: Menwei) -> list[Repair]:
    found = []
    if trouble := house.journal.trouble:
        found.append(Repair("journal", "repair.journal", {"detail": trouble}, "error"))
    if why := house.modes_unknown:
        values = {"file": str(house.data / "journal.db"), "detail": why}
        found.append(Repair("journal:modes", "repair.modes_unknown", values, "error"))
    elif damage := house.journal.damage:
        values = {"file": str(house.data / "journal.db"), "detail": damage}
        found.append(Repair("journal:damage", "repair.journal_damaged", values, "error"))
    return found


def _disk(folder: Path) -> list[Repair]:
    try:
        free = shutil.disk_usage(folder).free
    except FileNotFoundError:  # `Upkeep` tells that
        return []
    if free >= FREE_DISK:
        return []
    return [
        Repair("disk", "repair.disk", {"folder": str(folder), "free": f"{free // (1024 * 1024)}"}, "error")
    ]


def _schedules(house: Menwei) -> list[Repair]:
    today = local_date(house.clock.now(), house.site.zone)
    if house.schedules.horizon - today > HORIZON_WARNING:
        return []
    return [Repair("schedules", "repair.horizon", {"date": house.schedules.horizon.isoformat()}, "error")]


def _certificate(house: Menwei) -> list[Repair]:
    tls = house.loaded.config.web.tls if house.loaded.config else None
    if tls is None:
        return []
    if trouble := house.web_trouble:
        values = {"file": str(trouble.file)}
        return [
            Repair("certificate", f"config.tls.{trouble.kind}", values, "error"),
            Repair("certificate:console", "repair.console_here_only", {}, "error"),
        ]
    file, _ = tls.files(house.path.parent)
    try:
        end = certificate.ends(file)
    except (OSError, ValueError) as error:  # it was read at start: somebody is changing it, or took it away
        return [Repair("certificate", "repair.certificate_gone", {"file": str(file), "detail": str(error)})]
    values = {"file": str(file), "date": certificate.date(end)}
    if end <= house.clock.now():
        return [Repair("certificate", "repair.certificate_ended", values, "error")]
    if end <= house.clock.now() + certificate.SOON:
        return [Repair("certificate", "repair.certificate_ends", values)]
    return []


def _forms(house: Menwei) -> list[Repair]:
    """Doors that lack a part their form needs."""
    return [
        Repair(f"form:{door.id}:{lack.says}", f"repair.form.{lack.says}", {"door": door.name})
        for door in house.site.doors.values()
        for lack in door_missing(house.site, door)
    ]


def opencv() -> list[Repair]:
    """Two OpenCV packages overwrite one folder; pip stays silent, and removing one destroys the other."""
    installed = opencv_packages()
    if len(installed) < 2:
        return []
    return [Repair("opencv", "repair.opencv", {"packages": ", ".join(installed)})]


@cache
def opencv_packages() -> tuple[str, ...]:
    """The OpenCV packages that are installed. Asked once: reading everything installed takes tens of milliseconds, and
    what pip does meanwhile counts after a restart, as for every other module."""
    names = {distribution.metadata["Name"] for distribution in importlib.metadata.distributions()}
    return tuple(sorted(name for name in names if name and name.lower().startswith("opencv-")))


def _of_policy(policy: Policy) -> list[Repair]:
    def unsaid(why: str) -> Repair:
        return Repair(f"policy-repairs:{policy.name}", "repair.repairs", {"part": policy.name, "detail": why})

    return complaints(policy, unsaid)
