"""Is this face somebody's who is enrolled? Asked before anybody is; everybody's templates lie open as long as it may be.

Few people are compared here. Thousands are compared in a process of its own (`comparing.py`), which has numpy, and
whose memory with everybody's templates in it is given back when the last question is some time ago.
"""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Sequence

from menwei_face.aside import Aside, AsideTrouble
from menwei_face.template import Template, Templates, direction
from menwei_face.trouble import VaultTrouble

FEW = 100
"""People whose up to 500 templates are compared in this process: some 4 µs each and for each new one."""
COMMAND = (sys.executable, "-m", "menwei_face.comparing")


class Comparer:
    """Holds the templates that it is given. Blocking; one thread. `unit`: of a network compared by angle; `people`: how
    many it will be given, about. Every method but `close` raises `VaultTrouble`, and does so from then on: what was held
    is lost, and nobody may pass for unlike everybody because of that."""

    def __init__(self, people: int, *, unit: bool, command: Sequence[str] = COMMAND) -> None:
        self._unit = unit
        self._aside = Aside((*command, str(int(unit)))) if people > FEW else None
        self._few: dict[str, tuple[tuple[float, ...], ...]] = {}
        self._lost = ""

    @property
    def outgrown(self) -> bool:
        """Whether more are compared here than should be: then another one is to be made."""
        return len(self._few) > FEW

    def put(self, templates: Templates) -> None:
        """Further people, or others of the same people."""
        if self._aside is not None:
            self._ask(self._aside, "put", templates)
            return
        for subject, rows in templates.rows.items():
            self._few[subject] = tuple(direction(one, self._unit) for one in rows)

    def too_like(self, templates: Sequence[Template], threshold: float, but: str | None) -> bool:
        """Whether one of these is within `threshold` of one of somebody other than `but`."""
        if self._aside is not None:
            return self._ask(self._aside, "too_like", list(templates), threshold, but)
        probes = [direction(one, self._unit) for one in templates]
        return any(
            math.dist(probe, row) <= threshold
            for subject, rows in self._few.items()
            if subject != but
            for row in rows
            for probe in probes
        )

    def close(self) -> None:
        self._few.clear()
        if self._aside is not None:
            self._aside.end()

    def _ask(self, aside: Aside, *question: object) -> bool:
        if not self._lost:
            try:
                answer = aside.ask(pickle.dumps(question))
            except AsideTrouble as trouble:
                self._lost = str(trouble)
            else:
                if isinstance(answer.get("answer"), bool):
                    return bool(answer["answer"])
                self._lost = str(answer.get("trouble"))[:300]
                aside.end()
        raise VaultTrouble(f"faces cannot be compared: {self._lost}")
