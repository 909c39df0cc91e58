"""A door as its test sees it: what its sides are called, its steps, the scene of a step, and what a fact means there."""

from __future__ import annotations

from menwei import Door, DoorState, Fact, SiteView
from menwei_wiring.models import StepOut
from menwei_wiring.script import Event, Heard, Outcome, Saw, Scene
from menwei_wiring.steps import plan


def names(site: SiteView, facts: Door) -> dict[str, str]:
    """The door's sides by what people call them; the id where two are called the same."""
    points = {id: site.access_points[id].name for id in facts.access_points}
    shared = len(set(points.values())) < len(points)
    return {id: f"{name} ({id})" if shared or name == facts.name else name for id, name in points.items()}


def steps(site: SiteView, facts: Door) -> tuple[StepOut, ...]:
    """The steps of a new report."""
    called = names(site, facts)
    return tuple(
        StepOut(
            key=step.key, kind=step.kind, point=step.point, place=called.get(step.point, ""),
            outcome=Outcome.ABSENT if step.absent else Outcome.WAITING,
        )
        for step in plan(facts, site.access_points)
    )  # fmt: skip


def scene(site: SiteView, facts: Door, step: StepOut, now: float, freed_until: float) -> Scene:
    """Where a step begins. `freed_until` as in `Scene`."""
    own = names(site, facts)
    elsewhere = {
        id: f"{site.doors[point.door].name} ({id})"
        for id, point in site.access_points.items()
        if id not in own
    }
    state = site.door(facts.id).state
    return Scene(facts, now, DoorState(state), step.point, own, elsewhere, freed_until=freed_until)


def event(site: SiteView, door: str, fact: Fact) -> Event | None:
    """What a fact means for a test at this door; None when it is about something else."""
    match fact.kind:
        case "DeviceState":
            facts = site.doors.get(door)
            mine = facts is not None and fact.data.get("device") == facts.device
            return Saw(Heard.DEVICE, fact.at, str(fact.data.get("state", ""))) if mine else None
        case "AccessGranted" | "AccessDenied":
            return Saw(Heard.READ, fact.at, "", fact.access_point)
        case _ if fact.door != door:
            return None
        case "Fire":
            return Saw(Heard.FIRE, fact.at, "on" if fact.data.get("active") else "off")
        case kind:
            return Saw(Heard(kind), fact.at, str(fact.data.get("state", "")))
