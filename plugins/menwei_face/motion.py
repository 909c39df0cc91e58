"""A cheap look at whether anything moves, so that an empty doorway costs next to nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from menwei_face.geometry import Image, Vector

CELLS = (27, 48)
"""Rows and columns that a frame is averaged down to."""


@dataclass(frozen=True, slots=True)
class MotionSettings:
    """`change`: grey levels by which a cell must differ; `share`: of the cells that must; `hold`: seconds the gate
    stays open after the last motion; `learn`: share of the new frame that enters the background each second."""

    change: float = 9.0
    share: float = 0.008
    hold: float = 3.0
    learn: float = 0.15


class MotionGate:
    """Open while something moves in front of the camera, and for `hold` seconds after.

    A change of the whole picture's brightness (a lamp, the camera's own exposure) is taken out before cells are
    compared. The first frame, and the first after the picture changed its size, opens the gate: somebody may
    already be standing there.
    """

    def __init__(self, settings: MotionSettings | None = None) -> None:
        self.settings = settings or MotionSettings()
        self._background: Vector | None = None
        self._shape: tuple[int, ...] = ()
        self._last = 0.0
        self._until = -np.inf

    def open(self, frame: Image, at: float) -> bool:
        """Look at a frame taken at `at` (monotonic seconds); True when it is worth searching."""
        cells = _cells(frame)
        if self._background is None or self._shape != frame.shape:
            self._background, self._shape = cells, frame.shape
            self._until = at + self.settings.hold
        else:
            difference = cells - self._background
            difference -= np.median(difference)
            if float((np.abs(difference) > self.settings.change).mean()) >= self.settings.share:
                self._until = at + self.settings.hold
            share = min(1.0, self.settings.learn * max(0.0, at - self._last))
            self._background += np.float32(share) * (cells - self._background)
        self._last = at
        return at <= self._until


def _cells(frame: Image) -> Vector:
    """Green of the frame averaged into cells, from at most 4×4 samples each: a 4K frame costs what a small one does."""
    rows, columns = min(CELLS[0], frame.shape[0]), min(CELLS[1], frame.shape[1])
    step_y, step_x = max(1, frame.shape[0] // (rows * 4)), max(1, frame.shape[1] // (columns * 4))
    samples = frame[::step_y, ::step_x, 1].astype(np.float32)
    high, wide = samples.shape[0] // rows, samples.shape[1] // columns
    cut = samples[: rows * high, : columns * wide]
    return np.asarray(cut.reshape(rows, high, columns, wide).mean((1, 3)), dtype=np.float32)
