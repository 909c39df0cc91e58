"""What refuses, and how a test's result follows from its steps."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from menwei_wiring.models import Result
from menwei_wiring.script import Outcome


class WiringError(Exception):
    """It cannot be done now; nothing was. `says` is the message for the person, `status` for programs."""

    def __init__(self, says: str, status: int = HTTPStatus.CONFLICT, **values: str) -> None:
        super().__init__(says)
        self.says = says
        self.status = status
        self.values = values


def result_of(outcomes: Iterable[Outcome]) -> Result:
    """One failed step fails the test; one that was not tested leaves it incomplete."""
    found = set(outcomes)
    if Outcome.FAILED in found:
        return Result.FAILED
    return Result.PASSED if found <= {Outcome.PASSED, Outcome.ABSENT} else Result.INCOMPLETE
