"""How each access point looks for faces, out of the options and the site; and what speaks against it. Pure.

A face alone may open only where the site has said for that door that it knows what the false-accept rate means for as
many people as are enrolled there, and, outside a demonstration, only with a check of liveness.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from menwei import AccessPoint, IdentifierType, Objection
from menwei_face.far import FalseAcceptance, false_acceptance
from menwei_face.models import Model
from menwei_face.options import DoorFaces, FaceOptions, Liveness
from menwei_face.vault_files import MOST

EXAMPLE = 100
"""People for whom the figure is stated where the config says no number."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One access point. `alone`: most people whom a face alone may let in here, None where it needs a card or PIN
    first, and nobody is looked for before one was shown."""

    access_point: str
    door: str
    cameras: tuple[str, ...]
    threshold: float
    margin: float
    liveness: Liveness
    alone: int | None = None


@dataclass(frozen=True, slots=True)
class Plans:
    """What is looked at, and what is left alone and why."""

    plans: tuple[Plan, ...]
    objections: tuple[Objection, ...]


def make(options: FaceOptions, points: Iterable[AccessPoint], model: Model) -> Plans:
    """Plans for the access points that ask for faces and have a camera; `model` is the network in use."""
    served = [point for point in points if point.watched_for(IdentifierType.FACE)]
    doors = {point.door for point in served}
    against = [
        Objection(
            ("doors", door),
            "face.check.no_such_door",
            {"door": door, "known": ", ".join(sorted(doors)) or "–"},
        )
        for door in options.doors
        if door not in doors
    ]
    plans: list[Plan] = []
    for point in served:
        plan = _plan(options, point, model)
        found = [] if plan.alone is None else list(_alone(options, plan, model))
        against += [one for one in found if one not in against]
        if not found:
            plans.append(plan)
    return Plans(tuple(plans), tuple(against))


def statement(model: Model, threshold: float, people: int) -> FalseAcceptance:
    """What a face alone means at a door with so many people, each with as many templates as are kept at most."""
    return false_acceptance(model.far_at(threshold), people, MOST)


def _plan(options: FaceOptions, point: AccessPoint, model: Model) -> Plan:
    own = options.doors.get(point.door, DoorFaces())
    alone = any(level.level.met_by(frozenset({IdentifierType.FACE})) for level in point.levels)
    liveness = own.liveness or options.liveness or (Liveness.HEAD_TURN if alone else Liveness.NONE)
    people = (own.alone.people if own.alone else 0) if alone else None
    threshold = own.threshold or options.threshold or model.threshold
    return Plan(point.id, point.door, point.cameras, threshold, options.margin, liveness, people)


def _alone(options: FaceOptions, plan: Plan, model: Model) -> Iterable[Objection]:
    """What is missing before a face alone may open here."""
    said = options.doors.get(plan.door, DoorFaces()).alone
    where = ("doors", plan.door)
    if plan.liveness is Liveness.NONE and not options.demonstration:
        yield Objection((*where, "liveness"), "face.check.alone_liveness", {"door": plan.door})
    if model.far_at(plan.threshold) is None:
        values = {"door": plan.door, "threshold": f"{plan.threshold:g}", "model": model.name}
        yield Objection((*where, "threshold"), "face.check.alone_unmeasured", values)
        return
    figure = statement(model, plan.threshold, said.people if said else EXAMPLE)
    values = {"door": plan.door, "threshold": f"{plan.threshold:g}", **figure.values}
    if said is None:
        yield Objection((*where, "alone"), "face.check.alone", values)
    elif said.one_stranger_in > figure.one_in:
        values["said"] = str(said.one_stranger_in)
        yield Objection((*where, "alone", "one_stranger_in"), "face.check.alone_figure", values)
