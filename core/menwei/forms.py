"""Door forms: which parts a door built in a known way has, what it is set to, and what is missing of it.

A form fills in what the config leaves out (`DoorSection`), and `missing` says what the config takes away that such a
door needs. That is told by `menwei check` at its place, and by `menwei doctor`; it keeps no door from working.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from menwei.model import Door, DoorForm, Part, Unpowered, Wired


@dataclass(frozen=True, slots=True)
class FormFacts:
    """What a door of a form has unless the config says otherwise, and what it must have.

    `needs` are the parts without which it is not such a door; `sides` at how many access points it has readers;
    `escape` that people flee through it, so that its lock must let go without power. Times are in seconds.
    """

    contact: bool
    exit_button: Wired
    call_button: Wired
    fire_input: Wired
    without_power: Unpowered
    needs: frozenset[Part]
    sides: int = 1
    escape: bool = False
    release_time: float = 5.0
    open_time: float = 30.0

    def defaults(self) -> dict[str, Any]:
        """The keys of a door's section of the config, as they stand when nobody writes them."""
        return {
            "contact": self.contact,
            "exit_button": self.exit_button.value,
            "call_button": self.call_button.value,
            "fire_input": self.fire_input.value,
            "without_power": self.without_power.value,
            "release_time": self.release_time,
            "open_time": self.open_time,
        }


FORMS: Final[Mapping[DoorForm, FormFacts]] = {
    DoorForm.GATE: FormFacts(
        True, Wired.SEEN, Wired.NONE, Wired.SEEN, Unpowered.UNLOCKED,
        frozenset({Part.CONTACT, Part.EXIT_BUTTON, Part.FIRE_INPUT}), escape=True,
    ),
    # No leaf, so nothing to be held open; people leave at the second reader, the arms fall without power.
    DoorForm.TURNSTILE: FormFacts(
        False, Wired.NONE, Wired.NONE, Wired.SEEN, Unpowered.UNLOCKED,
        frozenset({Part.FIRE_INPUT}), sides=2, escape=True, release_time=3.0, open_time=10.0,
    ),
    # The fire line of an old stairway usually ends at the intercom's own supply, where nobody here can see it.
    DoorForm.UNIT_DOOR: FormFacts(
        True, Wired.SEEN, Wired.SEEN, Wired.UNSEEN, Unpowered.UNLOCKED,
        frozenset({Part.CONTACT, Part.EXIT_BUTTON, Part.CALL_BUTTON}),
    ),
    # Its handle opens from inside, and it has batteries: no button, no fire line.
    DoorForm.FLAT_LOCK: FormFacts(
        False, Wired.NONE, Wired.NONE, Wired.NONE, Unpowered.LOCKED, frozenset(), open_time=60.0
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Missing:
    """What is missing at a door: the key of its section that is to blame, and the message that says what to do
    (`form.<says>`, with the place named for the values)."""

    key: str
    says: str


def missing(door: Door, sides: int) -> list[Missing]:
    """What a door of its form needs and does not have; `sides` is at how many of its access points there is a reader.
    Empty for a door without a form."""
    if door.form is None:
        return []
    facts = FORMS[door.form]
    found = [
        Missing(part.value, part.value) for part in Part if part in facts.needs and not _there(door, part)
    ]
    if sides < facts.sides:
        found.append(Missing("access_points", "readers" if facts.sides == 1 else "both_sides"))
    if facts.escape and door.without_power is Unpowered.LOCKED:
        found.append(Missing("without_power", "without_power"))
    return found


def unseen(door: Door, inputs: Collection[Part]) -> list[Part]:
    """Parts that the config calls seen and the device's driver, which reports `inputs`, can not see. Empty for a door
    without a form: there nobody said what is wired."""
    return [part for part in Part if door.sees(part) and part not in inputs] if door.form else []


def read_sides(readers: Iterable[Collection[Any]]) -> int:
    """At how many access points there is a reader, from the readers of each."""
    return sum(1 for some in readers if some)


def _there(door: Door, part: Part) -> bool:
    if part is Part.CONTACT:
        return door.has_contact
    return getattr(door, part.value) is not Wired.NONE


__all__ = ["FORMS", "FormFacts", "Missing", "missing", "read_sides", "unseen"]
