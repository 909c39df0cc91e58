"""What a false-accept rate means for a door with many people, in words. Needs nothing installed."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FalseAcceptance:
    """What a threshold means at a door: `one` comparison accepts a stranger with this chance, a search among
    `people` with `search`, that is one stranger in `one_in`. `message` and `values` say it in words."""

    one: float
    people: int
    search: float
    one_in: int
    message: str
    values: dict[str, str]


def false_acceptance(far: float | None, people: int, templates: int = 1) -> FalseAcceptance:
    """FAR × N in plain words, before a face alone may open a door.

    `far` is the false-accept rate of one comparison at the door's threshold: the *upper* end of what was measured,
    see `models.Model.far_at`; None, where nothing was measured, counts as certain. `templates` of each person count as
    further comparisons. Raises `ValueError` outside 0…1.
    """
    if far is None:
        return FalseAcceptance(1.0, people, 1.0, 1, "face.far.unmeasured", {})
    if not 0.0 <= far <= 1.0 or people < 0 or templates < 1:
        raise ValueError("a rate lies between 0 and 1, counts are not negative")
    comparisons = people * templates
    search = -math.expm1(comparisons * math.log1p(-far)) if far < 1 else float(comparisons > 0)
    one_in = round(1 / search) if search > 0 else 0
    message = "face.far.none" if one_in == 0 else "face.far.statement"
    values = {
        "people": str(people),
        "templates": str(templates),
        "one_in": str(one_in),
        "percent": f"{search * 100:.2g}",
    }
    return FalseAcceptance(far, people, search, one_in, message, values)
