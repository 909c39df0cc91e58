"""The steps of a wiring test against a door on paper, wired well or wrongly: no clock, no network, no device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei import AccessPoint, Door, DoorMode, DoorState, Unpowered, Wired
from menwei.messages import Messages
from menwei_wiring.script import (
    Answered,
    By,
    Did,
    Event,
    Heard,
    Outcome,
    Saw,
    Scene,
    Script,
    StepRun,
    TimeUp,
    Wait,
)
from menwei_wiring.steps import SCRIPTS, Kind, plan
from menwei_wiring.words import result_of

UNIT = Door(
    "unit", "单元门", "board", "1", access_points=("in", "out"), exit_button=Wired.SEEN, call_button=Wired.SEEN,
    fire_input=Wired.SEEN,
)  # fmt: skip
BLIND = replace(
    UNIT, has_contact=False, exit_button=Wired.UNSEEN, call_button=Wired.UNSEEN, fire_input=Wired.UNSEEN
)
"""The same door where nothing but the readers is seen."""
POINTS = {"in": "进", "out": "出"}
WORDS = Messages(strict=True)
WORDS.add("menwei_wiring")


@dataclass
class Paper:
    """A door with an installer who does what he is asked. The fields say what is wrong with its wiring."""

    facts: Door = UNIT
    inverted: bool = False
    broken: bool = False
    exit_dead: bool = False
    exit_unwired: bool = False
    call_dead: bool = False
    lock_dead: bool = False
    never_locks: bool = False
    swapped: bool = False
    fire_dead: bool = False
    obeys: bool = True
    says: dict[str, str] = field(default_factory=dict)
    """Prompt → the choice of an installer who does not say the first one."""
    now: float = 0.0
    open: bool = False
    free_until: float = 0.0
    fire_on: bool = False
    asked: list[str] = field(default_factory=list)

    def told(self) -> DoorState:
        if self.broken:
            return DoorState.OPEN
        return DoorState.OPEN if self.open != self.inverted else DoorState.CLOSED

    def test(self, kind: Kind, point: str = "") -> StepRun:
        """Run one step to its end."""
        scene = Scene(self.facts, self.now, self.told(), point, POINTS, {"gate-in": "小区门"})
        step = StepRun(SCRIPTS[kind], scene)
        for _ in range(200):
            if step.outcome is not Outcome.RUNNING:
                return step
            if step.do is not None:
                self._obey(step)
            else:
                self._act(step)
        raise AssertionError(f"the step never ends: {self.asked[-5:]}")

    def _obey(self, step: StepRun) -> None:
        assert step.do is not None
        if step.do.mode is DoorMode.ACCESSED and not self.lock_dead:
            self.free_until = self.now + self.facts.release_time
        step.feed(Did(self.now, self.obeys))

    def _act(self, step: StepRun) -> None:
        assert step.wait is not None
        prompt = step.wait.prompt
        self.asked.append(prompt)
        self.now += 1.0
        events = self._does(prompt)
        if self.facts.has_contact or not events:
            for event in events:
                step.feed(event)
                self.now += 0.1
        if events and step.wait is not None and step.wait.prompt != prompt:
            return
        if step.outcome is Outcome.RUNNING and step.wait is not None and step.wait.prompt == prompt:
            if step.choices:
                step.feed(Answered(self.now, self.says.get(prompt, step.choices[0])))
            else:
                self.now = max(self.now, step.deadline)
                step.feed(TimeUp(self.now))

    def _does(self, prompt: str) -> list[Event]:
        match prompt.removeprefix("wiring.do."):
            case "open" | "pull" | "open_by_exit" | "pull_fire" | "pull_locked":
                return self._move(True)
            case "shut" | "shut_again":
                return self._move(False)
            case "press_exit":
                if self.exit_dead:
                    return self._move(True)
                self.free_until = self.now + 5
                pressed = (
                    []
                    if self.exit_unwired or self.facts.exit_button is not Wired.SEEN
                    else [Saw(Heard.EXIT, self.now)]
                )
                return [*pressed, *self._move(True)]
            case "touch":
                return [Saw(Heard.READ, self.now, "", "out" if self.swapped else "in")]
            case "ring":
                return [] if self.call_dead else [Saw(Heard.CALL, self.now)]
            case "fire":
                self.fire_on = not self.fire_dead
                return [Saw(Heard.FIRE, self.now, "on")] if self.fire_on else []
            case "fire_off":
                self.fire_on = False
                return [Saw(Heard.FIRE, self.now, "off")]
        return []

    def _move(self, open: bool) -> list[Event]:
        free = self.now <= self.free_until or self.never_locks or self.fire_on
        if open == self.open or (open and not free):
            return []
        before, self.open = self.told(), open
        return [Saw(Heard.STATE, self.now, self.told())] if self.told() is not before else []


def test_a_script_that_breaks_off_has_failed_and_never_passes() -> None:
    def breaks(_scene: Scene) -> Script:
        yield Wait("wiring.do.touch", 10.0)
        raise ZeroDivisionError

    step = StepRun(breaks, Scene(UNIT, 0.0))
    for _ in range(2):
        step.feed(Saw(Heard.READ, 1.0, "", "in"))
        assert failed(step) == "program"
    assert isinstance(step.error, ZeroDivisionError)


def failed(step: StepRun) -> str:
    assert step.outcome is Outcome.FAILED
    assert step.failure is not None
    for language in ("zh-CN", "en"):
        assert len(WORDS.t(language, step.failure.says, **step.failure.values)) > 10
    return step.failure.says.removeprefix("wiring.fail.")


def whose(step: StepRun) -> set[By]:
    return {note.by for note in step.scene.notes}


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.READER])
def test_a_well_wired_door_passes_every_step(kind: Kind) -> None:
    assert Paper().test(kind).outcome is Outcome.PASSED


@pytest.mark.parametrize("kind", [Kind.CONTACT, Kind.EXIT_BUTTON, Kind.FIRE])
def test_what_can_be_seen_is_seen_and_not_asked(kind: Kind) -> None:
    assert whose(Paper().test(kind)) == {By.SEEN}


def test_a_reader_is_seen_where_its_read_arrives() -> None:
    step = Paper().test(Kind.READER, "in")
    assert (step.outcome, whose(step)) == (Outcome.PASSED, {By.SEEN})


@pytest.mark.parametrize("kind", [Kind.EXIT_BUTTON, Kind.LOCK, Kind.CALL_BUTTON, Kind.FIRE])
def test_a_door_that_is_not_seen_passes_on_the_installers_word_alone(kind: Kind) -> None:
    step = Paper(BLIND).test(kind)
    assert (step.outcome, whose(step)) == (Outcome.PASSED, {By.ANSWERED})


@pytest.mark.parametrize(
    ("wrong", "kind", "says"),
    [
        ({"inverted": True}, Kind.CONTACT, "contact.inverted"),
        ({"broken": True}, Kind.CONTACT, "contact.stays_open"),
        ({"lock_dead": True}, Kind.CONTACT, "contact.stays_closed"),
        ({"obeys": False}, Kind.CONTACT, "no_obedience"),
        ({"exit_dead": True}, Kind.EXIT_BUTTON, "exit.dead"),
        ({"exit_unwired": True}, Kind.EXIT_BUTTON, "exit.unseen"),
        ({"lock_dead": True}, Kind.LOCK, "lock.no_release"),
        ({"never_locks": True}, Kind.LOCK, "lock.no_relock"),
        ({"call_dead": True}, Kind.CALL_BUTTON, "call.dead"),
        ({"says": {"wiring.ask.call": "no_ring"}}, Kind.CALL_BUTTON, "call.no_ring"),
        ({"says": {"wiring.ask.call": "no_open"}}, Kind.CALL_BUTTON, "call.no_open"),
        ({"fire_dead": True}, Kind.FIRE, "fire.dead"),
        ({"says": {"wiring.ask.power": "locked"}}, Kind.POWER, "power.locked"),
        ({"says": {"wiring.ask.battery": "died"}}, Kind.BATTERY, "battery"),
        ({"says": {"wiring.do.pull_locked": "opened"}}, Kind.LOCK, "lock.no_relock_unseen"),
    ],
)
def test_a_wrong_wire_fails_its_step_with_what_to_mend(
    wrong: dict[str, object], kind: Kind, says: str
) -> None:
    assert failed(Paper(**wrong).test(kind)) == says  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "choice", "kind", "says"),
    [
        ("exit_opens", "stayed_shut", Kind.EXIT_BUTTON, "exit.dead"),
        ("lock_opened", "stayed_shut", Kind.LOCK, "lock.no_release"),
        ("lock_held", "opened", Kind.LOCK, "lock.no_relock"),
        ("fire", "stayed_shut", Kind.FIRE, "fire.no_release"),
    ],
)
def test_where_nobody_sees_the_installers_no_fails_the_step(
    asked: str, choice: str, kind: Kind, says: str
) -> None:
    assert failed(Paper(BLIND, says={f"wiring.ask.{asked}": choice}).test(kind)) == says


def test_a_fail_secure_lock_that_lets_go_fails_too() -> None:
    flat = replace(UNIT, without_power=Unpowered.LOCKED)
    assert failed(Paper(flat).test(Kind.POWER)) == "power.unlocked"
    assert Paper(flat, says={"wiring.ask.power": "locked"}).test(Kind.POWER).outcome is Outcome.PASSED


def test_swapped_readers_are_told_by_both_names() -> None:
    step = Paper(swapped=True).test(Kind.READER, "in")
    assert failed(step) == "reader.swapped"
    assert step.failure is not None
    assert step.failure.values == {"point": "进", "other": "出"}


def running(
    kind: Kind, facts: Door = UNIT, contact: DoorState = DoorState.CLOSED, point: str = "in"
) -> StepRun:
    return StepRun(SCRIPTS[kind], Scene(facts, 0.0, contact, point, POINTS, {"gate-in": "小区门"}))


def pulling(step: StepRun) -> None:
    """The lock was released, the door opened and shut, the time is over: now it must hold."""
    step.feed(Did(0.0, True))
    step.feed(Saw(Heard.STATE, 1.0, "Open"))
    step.feed(Saw(Heard.STATE, 2.0, "Closed"))
    step.feed(TimeUp(step.deadline))
    assert step.wait is not None
    assert step.wait.prompt == "wiring.do.pull_locked"


def test_a_door_that_opens_when_it_must_hold_fails_at_once() -> None:
    step = running(Kind.LOCK)
    pulling(step)
    step.feed(Saw(Heard.STATE, 20.0, "Open"))
    assert failed(step) == "lock.no_relock"


def test_whoever_leaves_during_the_pull_is_no_fault_of_the_lock() -> None:
    step = running(Kind.LOCK)
    pulling(step)
    step.feed(Saw(Heard.EXIT, 20.0))
    step.feed(Saw(Heard.STATE, 21.0, "Open"))
    step.feed(Saw(Heard.STATE, 22.0, "Closed"))
    step.feed(TimeUp(step.deadline))
    step.feed(Answered(50.0, "held"))
    assert step.outcome is Outcome.PASSED
    assert "wiring.saw.somebody_passed" in [note.says for note in step.scene.notes]


def test_an_exit_button_pressed_just_before_is_waited_for() -> None:
    scene = Scene(UNIT, 0.0, DoorState.CLOSED, freed_until=30.0)
    step = StepRun(SCRIPTS[Kind.LOCK], scene)
    step.feed(Did(0.0, True))
    step.feed(Saw(Heard.STATE, 1.0, "Open"))
    step.feed(Saw(Heard.STATE, 2.0, "Closed"))
    assert step.deadline == 30.0


def test_a_read_at_another_door_is_told_only_when_none_came_here() -> None:
    step = running(Kind.READER)
    step.feed(Saw(Heard.READ, 1.0, "", "gate-in"))
    assert step.outcome is Outcome.RUNNING
    step.feed(TimeUp(step.deadline))
    assert failed(step) == "reader.elsewhere"


def test_an_answer_that_was_not_offered_is_no_answer() -> None:
    step = running(Kind.POWER)
    step.feed(Answered(1.0, "perhaps"))
    assert step.outcome is Outcome.RUNNING


def test_a_contact_that_is_quicker_than_the_commands_answer_is_heard_after_it() -> None:
    step = running(Kind.CONTACT)
    assert step.do is not None
    step.feed(Saw(Heard.STATE, 0.1, "Open"))
    step.feed(Did(0.2, True))
    assert [note.says for note in step.scene.notes][-1] == "wiring.saw.open_open"


def test_the_lock_is_released_again_for_an_installer_who_reads_first() -> None:
    step = running(Kind.CONTACT)
    releases = 0
    while step.outcome is Outcome.RUNNING:
        if step.do is not None:
            releases += 1
            step.feed(Did(step.scene.now, True))
        else:
            step.feed(TimeUp(step.deadline))
    assert (releases, failed(step)) == (3, "contact.stays_closed")


@pytest.mark.parametrize("kind", [Kind.CONTACT, Kind.READER, Kind.CALL_BUTTON, Kind.FIRE])
def test_a_controller_that_is_lost_fails_the_step(kind: Kind) -> None:
    step = running(kind)
    if step.do is not None:
        step.feed(Did(0.0, True))
    step.feed(Saw(Heard.DEVICE, 1.0, "retrying"))
    assert failed(step) == "device_lost"


def test_a_controller_without_power_is_seen_to_go_and_to_come_back() -> None:
    step = running(Kind.POWER)
    step.feed(Saw(Heard.DEVICE, 1.0, "retrying"))
    step.feed(Answered(2.0, "unlocked"))
    assert step.outcome is Outcome.RUNNING
    step.feed(Saw(Heard.DEVICE, 9.0, "ready"))
    assert step.outcome is Outcome.PASSED
    assert whose(step) == {By.SEEN, By.ANSWERED}


def test_a_controller_that_does_not_come_back_fails_the_step() -> None:
    step = running(Kind.POWER)
    step.feed(Saw(Heard.DEVICE, 1.0, "retrying"))
    step.feed(Answered(2.0, "unlocked"))
    step.feed(TimeUp(step.deadline))
    assert failed(step) == "power.not_back"


def test_a_door_has_the_steps_of_its_parts() -> None:
    def point(id: str, *readers: tuple[str, str]) -> AccessPoint:
        return AccessPoint(id, "unit", id, (), readers=readers)

    flat = replace(
        UNIT, has_contact=False, exit_button=Wired.NONE, call_button=Wired.NONE, fire_input=Wired.NONE
    )
    steps = plan(flat, {"in": point("in", ("board", "in")), "out": point("out")})
    assert [(step.key, step.absent) for step in steps] == [
        ("contact", True), ("exit_button", True), ("lock", False), ("reader.in", False), ("call_button", True),
        ("fire", True), ("power", False), ("battery", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        ([Outcome.PASSED, Outcome.ABSENT], "passed"),
        ([Outcome.PASSED, Outcome.SKIPPED], "incomplete"),
        ([Outcome.PASSED, Outcome.WAITING], "incomplete"),
        ([Outcome.SKIPPED, Outcome.FAILED, Outcome.PASSED], "failed"),
    ],
)
def test_one_failed_step_fails_the_test_and_an_untested_one_leaves_it_incomplete(
    outcomes: list[Outcome], result: str
) -> None:
    assert result_of(outcomes) == result


# ------------------------------------------------------------------------------------------------ whatever happens

saws = st.builds(
    Saw,
    kind=st.sampled_from(list(Heard)),
    at=st.just(0.0),
    value=st.sampled_from(
        ["Open", "Closed", "Fault", "Unknown", "on", "off", "ready", "retrying", "", "ajar"]
    ),
    access_point=st.sampled_from(["in", "out", "gate-in", ""]),
)
choices = st.sampled_from(
    [
        "held",
        "opened",
        "stayed_shut",
        "rang_opened",
        "no_ring",
        "no_open",
        "unlocked",
        "locked",
        "works",
        "died",
    ]
)
happenings = st.lists(
    st.one_of(
        saws,
        st.builds(Answered, st.just(0.0), choices),
        st.builds(Did, st.just(0.0), st.booleans()),
        st.none(),
    ),
    max_size=40,
)
doors = st.builds(
    Door,
    st.just("d"), st.just("d"), st.just("b"), st.just("1"),
    has_contact=st.booleans(),
    exit_button=st.sampled_from(list(Wired)),
    call_button=st.sampled_from(list(Wired)),
    fire_input=st.sampled_from(list(Wired)),
    without_power=st.sampled_from(list(Unpowered)),
)  # fmt: skip


def played(
    kind: Kind, facts: Door, contact: DoorState, happened: list[Event | None]
) -> tuple[StepRun, list[Event]]:
    """Feed everything, a second apart (None: until the time is up), and then nothing but time."""
    step, fed, now = running(kind, facts, contact), [], 0.0
    for event in happened:
        now += 1.0
        if event is None:
            now = max(now, min(step.deadline, now + 1000))
            event = TimeUp(now)
        event = replace(event, at=now)
        if step.outcome is Outcome.RUNNING:
            fed.append(event)
        step.feed(event)
    for _ in range(50):
        if step.outcome is not Outcome.RUNNING:
            break
        step.feed(Did(step.scene.now, False) if step.do is not None else TimeUp(step.deadline))
    return step, fed


@given(st.sampled_from(list(Kind)), doors, st.sampled_from(list(DoorState)), happenings)
def test_whatever_happens_every_step_ends_and_a_failure_has_its_sentence(
    kind: Kind, facts: Door, contact: DoorState, happened: list[Event | None]
) -> None:
    step, _ = played(kind, facts, contact, happened)
    assert step.outcome in {Outcome.PASSED, Outcome.FAILED}
    assert (step.failure is None) == (step.outcome is Outcome.PASSED)
    for note in step.scene.notes:
        WORDS.t("en", note.says, **note.values)
    if step.failure is not None:
        assert failed(step)


def saw(kind: Heard, value: str = "", point: str = "") -> Callable[[list[Event]], bool]:
    return lambda fed: any(
        isinstance(e, Saw) and e.kind is kind and value in ("", e.value) and point in ("", e.access_point)
        for e in fed
    )


MUST: dict[Kind, list[Callable[[list[Event]], bool]]] = {
    Kind.CONTACT: [saw(Heard.STATE, "Open"), saw(Heard.STATE, "Closed")],
    Kind.EXIT_BUTTON: [saw(Heard.EXIT), saw(Heard.STATE, "Open")],
    Kind.LOCK: [saw(Heard.STATE, "Open"), saw(Heard.STATE, "Closed")],
    Kind.READER: [saw(Heard.READ, point="in")],
    Kind.CALL_BUTTON: [saw(Heard.CALL)],
    Kind.FIRE: [saw(Heard.FIRE, "on"), saw(Heard.FIRE, "off")],
}


@given(st.sampled_from(list(MUST)), happenings)
def test_no_step_that_can_be_seen_passes_unseen(kind: Kind, happened: list[Event | None]) -> None:
    step, fed = played(kind, UNIT, DoorState.CLOSED, happened)
    if step.outcome is Outcome.PASSED:
        assert all(must(fed) for must in MUST[kind])
