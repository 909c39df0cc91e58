"""Error rates of a matcher from distances, with their uncertainty. Numbers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menwei_face.match import Rate

Distances = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Curve:
    """Distances of pairs of one person (`genuine`) and of two (`impostor`), sorted."""

    genuine: Distances
    impostor: Distances

    @classmethod
    def of(cls, genuine: Distances, impostor: Distances) -> Curve:
        return cls(np.sort(np.ravel(genuine)), np.sort(np.ravel(impostor)))

    def fnmr(self, threshold: float) -> Rate:
        """False non-matches: genuine pairs further apart than `threshold`."""
        accepted = int(np.searchsorted(self.genuine, threshold, side="right"))
        return Rate(len(self.genuine) - accepted, len(self.genuine))

    def fmr(self, threshold: float) -> Rate:
        """False matches: impostor pairs within `threshold`."""
        return Rate(int(np.searchsorted(self.impostor, threshold, side="right")), len(self.impostor))

    def threshold_at(self, fmr: float) -> float:
        """The largest threshold whose false-match rate does not exceed `fmr`: just below the next impostor pair."""
        allowed = int(np.floor(fmr * len(self.impostor)))
        if allowed >= len(self.impostor):
            return float("inf")
        return float(np.nextafter(self.impostor[allowed], -np.inf))

    def fnmr_at(self, fmr: float) -> Rate:
        return self.fnmr(self.threshold_at(fmr))

    def eer(self) -> tuple[float, float]:
        """The rate at which both errors are equal, and its threshold (the mean of both at the nearest crossing)."""
        thresholds = np.unique(np.concatenate([self.genuine, self.impostor]))
        missed = 1 - np.searchsorted(self.genuine, thresholds, side="right") / len(self.genuine)
        false = np.searchsorted(self.impostor, thresholds, side="right") / len(self.impostor)
        at = int(np.argmin(np.abs(missed - false)))
        return float((missed[at] + false[at]) / 2), float(thresholds[at])

    def report(self) -> dict[str, Any]:
        rate, threshold = self.eer()
        return {
            "genuine": len(self.genuine),
            "impostor": len(self.impostor),
            "eer": round(rate, 5),
            "eer_threshold": round(threshold, 4),
            "fnmr_at_fmr_1": told(self.fnmr_at(0.01)),
            "threshold_at_fmr_1": round(self.threshold_at(0.01), 4),
            "fnmr_at_fmr_01": told(self.fnmr_at(0.001)),
            "threshold_at_fmr_01": round(self.threshold_at(0.001), 4),
        }


def told(rate: Rate) -> dict[str, Any]:
    """A rate as the report writes it; `soft` where fewer than ten errors stand behind it."""
    low, high = rate.interval
    return {
        "rate": round(rate.value, 5),
        "errors": rate.errors,
        "trials": rate.trials,
        "interval_95": [round(low, 5), round(high, 5)],
        "soft": rate.soft,
    }


def percent(entry: dict[str, Any]) -> str:
    """`1.8 % (8/450, 0.9-3.5 %, soft)`."""
    low, high = entry["interval_95"]
    note = ", soft" if entry["soft"] else ""
    return f"{entry['rate'] * 100:.2f} % ({entry['errors']}/{entry['trials']}, {low * 100:.2f}-{high * 100:.2f} %{note})"
