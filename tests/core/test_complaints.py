"""`repairs()` of plugins: whatever it answers, what a person reads says which plugin's part is at fault, and nothing ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from menwei.complaints import complaints
from menwei.context import Repair


class Owner:
    def __init__(self, answer: Callable[[], Any]) -> None:
        self.repairs = answer


def raising(error: BaseException) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


def told(answer: Callable[[], Any]) -> list[Repair]:
    return complaints(Owner(answer), lambda why: Repair("repairs:gate", "repair.policy", {"detail": why}))


def test_sound_repairs_are_told_as_they_are() -> None:
    one = Repair("board", "device.repair.failed", {"device": "板子 1"}, "info")
    assert told(lambda: [one]) == [one]


@pytest.mark.parametrize(
    "answer",
    [
        raising(RuntimeError("boo")),
        raising(SystemExit(3)),
        lambda: None,
        lambda: ["boo"],
        lambda: [Repair("k", None, None, None)],  # type: ignore[arg-type]
        lambda: [Repair("k", "repair.policy", {}, "bad")],
        lambda: [Repair("k", "repair.policy", {}, [])],  # type: ignore[arg-type]
    ],
)
def test_an_answer_that_is_none_is_one_repair_that_says_so(answer: Callable[[], Any]) -> None:
    (repair,) = told(answer)
    assert repair.key == "repairs:gate"
    assert repair.values["detail"].startswith("repairs(): ")


def test_values_are_texts_that_every_page_can_show() -> None:
    (repair,) = told(lambda: [Repair("k", "repair.policy", {"n": 5, "detail": "\udcff" + "x" * 5000})])  # type: ignore[dict-item]
    assert repair.values["n"] == "5"
    assert repair.values["detail"] == "x" * 1000
