"""What a recognizer brings to the worker: the part that looks at frames.

`LookSpec.make` is a dotted name, `package.module:function`, imported in the worker. The function is called once with
`options` (picklable) and may load networks; what it returns is called once for each camera and gives that camera's
`Looker`. All lookers run in one thread, one frame after the other.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

Event = Mapping[str, Any]
"""What a looker tells the core: JSON, small, and nothing of a stranger."""


class Looker(Protocol):
    """Looks at the frames of one camera. An exception is told to the core and costs that frame."""

    def frame(self, image: Image, at: float) -> Iterable[Event]:
        """One upright BGR frame, taken at `at` (monotonic seconds). Called at most `StreamSpec.fps` times a second."""

    def told(self, message: Any) -> Iterable[Event]:
        """The core's recognizer has said something (whom to expect, a new gallery)."""


Make = Callable[[Any], Callable[[str], Looker]]


@dataclass(frozen=True, slots=True)
class LookSpec:
    """One recognizer's looker. `options` may hold templates and are in no `repr`."""

    name: str
    make: str
    cameras: tuple[str, ...]
    options: Any = field(default=None, repr=False)


def resolve(name: str) -> Make:
    """The function behind a dotted name. Raises `ValueError`, `ImportError`, `AttributeError`."""
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise ValueError(f"package.module:function is expected, not {name!r}")
    return cast("Make", getattr(importlib.import_module(module), function))
