"""The steps of a wiring test, in their order: what the installer does, what must be seen, and what to mend otherwise.

Each script is read from top to bottom like the talk beside a door. Which steps a door has follows from its parts
(`plan`); how long each is waited for stands here, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from menwei import AccessPoint, Door, DoorMode, DoorState, Unpowered, Wired
from menwei_wiring.script import Answered, By, Did, Do, Event, Fails, Heard, Saw, Scene, Script, TimeUp, Wait

SETTLING: Final = 3.0
"""A door that is just falling shut."""
HAND: Final = 40.0
"""For one thing that a person does at the door with a telephone in the other hand."""
SHUTTING: Final = 90.0
FAR: Final = 120.0
"""For what is done at another place: the fire panel, a flat, the fuse box."""
ASKED: Final = 300.0
BACK: Final = 180.0
"""A controller that had no power starts again, and is found."""
TRIES: Final = 3
"""How often the lock is released for one opening: five seconds are short for somebody who reads first."""
HOLDS: Final = 2
"""How often the pull is tried: people go on passing meanwhile, and whoever presses the exit button opens rightfully."""
LEAVING: Final = 10.0
"""How long an exit button may release its lock: its time is set at the controller, and nobody here knows it."""
GRACE: Final = 1.5
"""Seconds after a release in which a lock may still be falling shut."""


class Kind(StrEnum):
    """What a step proves."""

    CONTACT = "contact"
    EXIT_BUTTON = "exit_button"
    LOCK = "lock"
    READER = "reader"
    CALL_BUTTON = "call_button"
    FIRE = "fire"
    POWER = "power"
    BATTERY = "battery"


@dataclass(frozen=True, slots=True)
class Planned:
    """One step of a door. `key` names it within the run; `absent` says that the door does not have the part."""

    key: str
    kind: Kind
    point: str = ""
    absent: bool = False


def plan(door: Door, points: Mapping[str, AccessPoint]) -> list[Planned]:
    """The steps of this door, in their order."""
    readers = [point for point in door.access_points if points[point].readers]
    return [
        Planned("contact", Kind.CONTACT, absent=not door.has_contact),
        Planned("exit_button", Kind.EXIT_BUTTON, absent=door.exit_button is Wired.NONE),
        Planned("lock", Kind.LOCK),
        *(Planned(f"reader.{point}", Kind.READER, point) for point in readers),
        *([] if readers else [Planned("reader", Kind.READER, absent=True)]),
        Planned("call_button", Kind.CALL_BUTTON, absent=door.call_button is Wired.NONE),
        Planned("fire", Kind.FIRE, absent=door.fire_input is Wired.NONE),
        Planned("power", Kind.POWER),
        Planned("battery", Kind.BATTERY),
    ]


# ------------------------------------------------------------------------------------------------------- the steps


def contact(scene: Scene) -> Script:
    """Begun with the door shut. A contact the wrong way round and a broken wire look the same until the door moves."""
    if scene.contact is not DoorState.CLOSED:
        yield from until(scene, "wiring.do.shut", SETTLING, lambda _: scene.contact is DoorState.CLOSED)
    shut = scene.contact
    if shut is DoorState.FAULT:
        raise Fails("wiring.fail.contact.fault")
    if shut is DoorState.UNKNOWN:
        raise Fails("wiring.fail.contact.unknown")
    scene.note(By.SEEN, f"wiring.saw.shut_{shut.lower()}")
    moved = yield from opened(scene, "wiring.do.open", lambda: scene.contact is not shut)
    if scene.contact is DoorState.FAULT:
        raise Fails("wiring.fail.contact.fault")
    if shut is DoorState.OPEN:
        if moved:
            scene.note(By.SEEN, "wiring.saw.open_closed")
        raise Fails("wiring.fail.contact.inverted" if moved else "wiring.fail.contact.stays_open")
    if not moved:
        raise Fails("wiring.fail.contact.stays_closed")
    scene.note(By.SEEN, "wiring.saw.open_open")
    yield from shut_again(scene)


def exit_button(scene: Scene) -> Script:
    """The button releases the lock in hardware; where its second contact is joined to an input, that is seen too."""
    if scene.door.exit_button is not Wired.SEEN:
        yield from _unseen_exit(scene)
        return
    pressed = yield from until(scene, "wiring.do.press_exit", HAND, heard(Heard.EXIT))
    went = any(event.kind is Heard.STATE and event.value == DoorState.OPEN for event in scene.saw)
    if pressed is None:
        raise Fails("wiring.fail.exit.unseen" if went else "wiring.fail.exit.dead")
    scene.note(By.SEEN, "wiring.saw.exit")
    if not scene.door.has_contact:
        yield from answered(scene, "wiring.ask.exit_opened", "wiring.fail.exit.no_release")
        return
    if not went and not (yield from until(scene, "wiring.do.open_by_exit", HAND, is_open)):
        raise Fails("wiring.fail.exit.no_release")
    scene.note(By.SEEN, "wiring.saw.opened")
    yield from shut_again(scene)


def _unseen_exit(scene: Scene) -> Script:
    if not scene.door.has_contact:
        yield from answered(scene, "wiring.ask.exit_opens", "wiring.fail.exit.dead")
        return
    if not (yield from until(scene, "wiring.do.press_exit", HAND, is_open)):
        raise Fails("wiring.fail.exit.dead")
    scene.note(By.SEEN, "wiring.saw.opened_uncommanded")
    yield from shut_again(scene)


def lock(scene: Scene) -> Script:
    """It lets go when it is told to, and holds again when the time is over: that somebody really pulls, nobody sees."""
    if not scene.door.has_contact:
        yield from released(scene)
        yield from answered(scene, "wiring.ask.lock_opened", "wiring.fail.lock.no_release")
        yield from pause(scene)
        yield from answered(
            scene, "wiring.ask.lock_held", "wiring.fail.lock.no_relock", good="held", bad="opened"
        )
        return
    yield from shut_first(scene)
    if not (yield from opened(scene, "wiring.do.pull", lambda: scene.contact is DoorState.OPEN)):
        raise Fails("wiring.fail.lock.no_release")
    scene.note(By.SEEN, "wiring.saw.lock_released")
    for _ in range(HOLDS):
        yield from shut_again(scene)
        yield from pause(scene)
        yield from shut_first(scene)
        told = len(scene.saw)
        if (yield from holds(scene)):
            scene.note(By.SEEN, "wiring.saw.stayed_shut")
            return
        if not any(passing(scene, event) for event in scene.saw[told:]):
            break
        scene.note(By.SEEN, "wiring.saw.somebody_passed")
        scene.freed_until = scene.now + LEAVING
    scene.note(By.SEEN, "wiring.saw.opened_locked")
    raise Fails("wiring.fail.lock.no_relock")


def passing(scene: Scene, event: Saw) -> bool:
    """Somebody else uses the door: an opening after this says nothing about the lock."""
    return event.kind is Heard.EXIT or (event.kind is Heard.READ and event.access_point in scene.points)


def holds(scene: Scene) -> Generator[Wait | Do, Event, bool]:
    """Somebody pulls: False when the contact sees the door open."""
    pulled = yield from until(
        scene,
        "wiring.do.pull_locked",
        HAND,
        lambda event: is_open(event) or isinstance(event, Answered),
        ("held", "opened"),
    )
    if pulled is None:
        raise Fails("wiring.fail.no_answer")
    if is_open(pulled):
        return False
    scene.note(By.ANSWERED, f"wiring.said.{_choice(pulled)}")
    if _choice(pulled) == "opened":
        raise Fails("wiring.fail.lock.no_relock_unseen")
    return True


def reader(scene: Scene) -> Script:
    """Any card does: what is looked at is where its read arrives."""
    values = {"point": scene.points[scene.point]}

    def here(event: Event) -> bool:
        return isinstance(event, Saw) and event.kind is Heard.READ and event.access_point in scene.points

    read = yield from until(scene, "wiring.do.touch", HAND, here, values=values)
    if read is None:
        stray = next(
            (scene.elsewhere[e.access_point] for e in scene.saw if e.access_point in scene.elsewhere), ""
        )
        if stray:
            raise Fails("wiring.fail.reader.elsewhere", other=stray, **values)
        raise Fails("wiring.fail.reader.silent", **values)
    assert isinstance(read, Saw)
    arrived = scene.points[read.access_point]
    scene.note(By.SEEN, "wiring.saw.read", point=arrived)
    if read.access_point != scene.point:
        raise Fails("wiring.fail.reader.swapped", other=arrived, **values)


def call_button(scene: Scene) -> Script:
    """The intercom must go on as before: its button is seen where it is joined to an input, its bell is answered."""
    if scene.door.call_button is Wired.SEEN:
        if (yield from until(scene, "wiring.do.ring", HAND, heard(Heard.CALL))) is None:
            raise Fails("wiring.fail.call.dead")
        scene.note(By.SEEN, "wiring.saw.call")
    choices = ("rang_opened", "no_ring", "no_open")
    said = yield from until(scene, "wiring.ask.call", FAR, said_one, choices)
    if said is None:
        raise Fails("wiring.fail.no_answer")
    scene.note(By.ANSWERED, f"wiring.said.{_choice(said)}")
    if _choice(said) != "rang_opened":
        raise Fails(f"wiring.fail.call.{_choice(said)}")


def fire(scene: Scene) -> Script:
    """The fire line lets the lock go without us. At its end the door, which was held open, is locked again."""
    if scene.door.fire_input is not Wired.SEEN:
        yield from answered(scene, "wiring.ask.fire", "wiring.fail.fire.no_release", seconds=ASKED)
        return
    if (yield from until(scene, "wiring.do.fire", FAR, heard(Heard.FIRE, "on"))) is None:
        raise Fails("wiring.fail.fire.dead")
    scene.note(By.SEEN, "wiring.saw.fire_on")
    if scene.door.has_contact:
        if scene.contact is not DoorState.OPEN and not (
            yield from until(scene, "wiring.do.pull_fire", HAND, is_open)
        ):
            raise Fails("wiring.fail.fire.no_release")
        scene.note(By.SEEN, "wiring.saw.opened")
    else:
        yield from answered(scene, "wiring.ask.fire_open", "wiring.fail.fire.no_release")
    over = any(event.kind is Heard.FIRE and event.value == "off" for event in scene.saw)
    if not over and (yield from until(scene, "wiring.do.fire_off", FAR, heard(Heard.FIRE, "off"))) is None:
        raise Fails("wiring.fail.fire.stays")
    scene.note(By.SEEN, "wiring.saw.fire_off")
    yield from command(scene, DoorMode.LOCKED)
    if scene.door.has_contact:
        yield from shut_again(scene)


def power(scene: Scene) -> Script:
    """Without power the door must be what the config says. Whether the controller was without power too is seen."""
    scene.rides_out = True
    said = yield from until(scene, "wiring.ask.power", ASKED, said_one, ("unlocked", "locked"))
    if said is None:
        raise Fails("wiring.fail.no_answer")
    scene.note(By.ANSWERED, f"wiring.said.{_choice(said)}")
    states = [event.value for event in scene.saw if event.kind is Heard.DEVICE]
    if any(state != "ready" for state in states):
        scene.note(By.SEEN, "wiring.saw.controller_away")
        if (
            states[-1] != "ready"
            and (yield from until(scene, "wiring.do.power_on", BACK, heard(Heard.DEVICE, "ready"))) is None
        ):
            raise Fails("wiring.fail.power.not_back")
        scene.note(By.SEEN, "wiring.saw.controller_back")
    if Unpowered(_choice(said)) is not scene.door.without_power:
        raise Fails(f"wiring.fail.power.{_choice(said)}")


def battery(scene: Scene) -> Script:
    """What works while the mains are off. A door without a battery is told, and not failed for it."""
    scene.rides_out = True
    said = yield from until(scene, "wiring.ask.battery", ASKED, said_one, ("works", "no_battery", "died"))
    if said is None:
        raise Fails("wiring.fail.no_answer")
    scene.note(By.ANSWERED, f"wiring.said.{_choice(said)}")
    if _choice(said) == "died":
        raise Fails("wiring.fail.battery")


SCRIPTS: Final[Mapping[Kind, Callable[[Scene], Script]]] = {
    Kind.CONTACT: contact,
    Kind.EXIT_BUTTON: exit_button,
    Kind.LOCK: lock,
    Kind.READER: reader,
    Kind.CALL_BUTTON: call_button,
    Kind.FIRE: fire,
    Kind.POWER: power,
    Kind.BATTERY: battery,
}


# ------------------------------------------------------------------------------------------------- what they share

Waiting = Generator[Wait | Do, Event, Event | None]


def until(
    scene: Scene, prompt: str, seconds: float, good: Callable[[Event], bool], choices: tuple[str, ...] = (),
    values: Mapping[str, str] | None = None,
) -> Waiting:  # fmt: skip
    """The first event that is `good`, None when the time is up."""
    end = scene.now + seconds
    while scene.now < end:
        event = yield Wait(prompt, end - scene.now, choices, values or {})
        if isinstance(event, TimeUp):
            return None
        if good(event):
            return event
    return None


def heard(kind: Heard, value: str = "") -> Callable[[Event], bool]:
    return lambda event: isinstance(event, Saw) and event.kind is kind and value in ("", event.value)


def is_open(event: Event) -> bool:
    return isinstance(event, Saw) and event.kind is Heard.STATE and event.value == DoorState.OPEN


def said_one(event: Event) -> bool:
    return isinstance(event, Answered)


def _choice(event: Event) -> str:
    assert isinstance(event, Answered)
    return event.choice


def command(scene: Scene, mode: DoorMode) -> Script:
    did = yield Do(mode)
    if not (isinstance(did, Did) and did.ok):
        raise Fails("wiring.fail.no_obedience")


def released(scene: Scene) -> Script:
    yield from command(scene, DoorMode.ACCESSED)
    scene.lock_due = scene.now + scene.door.release_time


def opened(scene: Scene, prompt: str, moved: Callable[[], bool]) -> Generator[Wait | Do, Event, bool]:
    """Release the lock, up to three times, until the contact tells that the door moved."""
    for _ in range(TRIES):
        yield from released(scene)
        if moved() or (yield from until(scene, prompt, scene.door.release_time + GRACE, lambda _: moved())):
            return True
    return False


def shut_again(scene: Scene) -> Script:
    if scene.contact is not DoorState.CLOSED:
        shut = yield from until(
            scene, "wiring.do.shut_again", SHUTTING, lambda _: scene.contact is DoorState.CLOSED
        )
        if shut is None:
            raise Fails("wiring.fail.contact.not_shut")
    scene.note(By.SEEN, "wiring.saw.closed")


def shut_first(scene: Scene) -> Script:
    if scene.contact is not DoorState.CLOSED:
        yield from shut_again(scene)


def pause(scene: Scene) -> Script:
    """Until the lock must hold again."""
    left = max(scene.lock_due + GRACE, scene.freed_until) - scene.now
    if left > 0:
        yield from until(scene, "wiring.do.wait", left, lambda _: False)


def answered(
    scene: Scene,
    prompt: str,
    fails: str,
    *,
    good: str = "opened",
    bad: str = "stayed_shut",
    seconds: float = FAR,
) -> Script:
    """What nobody here can see: the installer says it."""
    said = yield from until(scene, prompt, seconds, said_one, (good, bad))
    if said is None:
        raise Fails("wiring.fail.no_answer")
    scene.note(By.ANSWERED, f"wiring.said.{_choice(said)}")
    if _choice(said) != good:
        raise Fails(fails)
