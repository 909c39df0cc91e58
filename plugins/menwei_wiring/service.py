"""The tests of one site: what API, commands and pages call, and the ear that hears what devices report meanwhile.

One test at a time at a door, one step at a time in a test. Every change is written down before it is shown, so after a
restart a test goes on where it was; only the step that was running begins again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import func, insert, select, update

from menwei import (
    Actor,
    Config,
    Context,
    Door,
    DoorMode,
    Fact,
    Repair,
    Service,
    Transaction,
    __version__,
)
from menwei_wiring import doorside
from menwei_wiring.models import (
    DeviceFacts,
    NoteOut,
    NowOut,
    Report,
    Result,
    RunOut,
    RunRow,
)
from menwei_wiring.script import Answered, Did, Do, Event, Outcome, StepRun, TimeUp
from menwei_wiring.steps import LEAVING, SCRIPTS, Kind
from menwei_wiring.tables import runs
from menwei_wiring.under import Under, again, digest, row_of, standing, wiring_of
from menwei_wiring.words import WiringError, result_of

KINDS: Final = (
    "DoorState",
    "ExitButton",
    "CallButton",
    "Fire",
    "AccessGranted",
    "AccessDenied",
    "DeviceState",
)
OVERDUE: Final = 365 * 86_400.0
"""Seconds after which a door with a form is to be tested again: fire protection asks for a yearly look."""
LOOK: Final = 0.25
"""Seconds between looks for a step whose time is up."""
REASON: Final = "接线测试 / wiring test {run}: {step}"


class Options(Config):
    """The plugin's section in the config: nothing to choose."""


class Wiring(Service):
    """The wiring tests. Made at start; without it nobody tests, and the doors go on."""

    name = "wiring"
    Config = Options

    def __init__(self, context: Context, config: Options) -> None:
        super().__init__(context, config)
        self._under: dict[str, Under] = {}
        self._last: dict[str, RunRow] = {}
        self._loaded = False
        self._loading = asyncio.Lock()
        self._lock = asyncio.Lock()
        self._busy = asyncio.Event()
        self._ear: AsyncIterator[Fact] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._version = 0

    # ---------------------------------------------------------------------------------------------------------- looking

    async def load(self) -> None:
        """What the table says, once; a step that was running when the program ended waits to be begun again."""
        async with self._loading:
            if self._loaded:
                return
            async with self.context.tables.read() as reading:
                rows = (await reading.execute(select(runs).order_by(runs.c.begun))).all()
            for row in rows:
                if row.open_door is None:
                    self._last[row.door] = row_of(row)
                else:
                    self._under[row.door] = self._resumed(row)
            self._loaded = True

    def _resumed(self, row: Any) -> Under:
        under = Under(
            row.id, row.tester, Report.model_validate_json(row.report), version=self._first_version()
        )
        for step in under.report.steps:
            if step.outcome is Outcome.RUNNING:
                under.put(again(step, "wiring.fail.interrupted", step.begun or row.begun))
        return under

    def last(self, door: str) -> RunRow | None:
        """The newest ended test of a door."""
        return self._last.get(door)

    def under_way(self, door: str) -> Under | None:
        return self._under.get(door)

    async def now(self, door: str, after: int | None = None, seconds: float = 25.0) -> NowOut:
        """The test under way at a door, at once, or when it has changed since the version `after`."""
        self._door(door)
        await self.load()
        under = self._under.get(door)
        if under is None:
            return NowOut(run=None, live=None, version=0)
        try:
            async with asyncio.timeout(seconds):
                while after == under.version:
                    await under.changed.wait()
        except TimeoutError:
            pass  # nothing new: whoever asked is told how it stands, and asks again
        return under.now(self.context.clock.now())

    async def of_door(self, door: str) -> list[RunRow]:
        """The ended tests of a door, newest first."""
        self._door(door)
        query = (
            select(runs).where(runs.c.door == door, runs.c.open_door.is_(None)).order_by(runs.c.begun.desc())
        )
        async with self.context.tables.read() as reading:
            return [row_of(row) for row in (await reading.execute(query)).all()]

    async def report(self, number: int) -> RunOut:
        """A test by its number, ended or not. Raises `WiringError` 404."""
        async with self.context.tables.read() as reading:
            row = (await reading.execute(select(runs).where(runs.c.id == number))).first()
        if row is None:
            raise WiringError("wiring.no_report", HTTPStatus.NOT_FOUND)
        kept = "" if row.ended is None else digest(row.report)
        return RunOut(
            id=row.id, tester=row.tester, report=Report.model_validate_json(row.report), digest=kept
        )

    def repairs(self) -> list[Repair]:
        """Doors of a form that were never tested, failed their last test, or were tested too long ago."""
        found, now = [], self.context.clock.now()
        for door in self.context.site.doors.values():
            last, values = self._last.get(door.id), {"door": door.name}
            if door.form is None or not self._loaded:
                continue
            if last is None:
                found.append(Repair(f"wiring:{door.id}", "wiring.repair.untested", values, "info"))
            elif last.result is Result.FAILED:
                found.append(Repair(f"wiring:{door.id}", "wiring.repair.failed", values))
            elif now - last.begun > OVERDUE:
                found.append(Repair(f"wiring:{door.id}", "wiring.repair.overdue", values))
        return found

    # ---------------------------------------------------------------------------------------------------------- testing

    async def begin(self, by: Actor, door: str, device: DeviceFacts, tester: str = "") -> NowOut:
        """Begin a test of a door; `tester` is who stands there when it is not `by`. Raises `WiringError` when one is under way, the door's device is away, or the door is
        held in another mode than locked."""
        facts = self._door(door)
        await self.load()
        async with self._lock:
            if door in self._under:
                raise WiringError("wiring.under_way")
            self._ready(facts)
            now = self.context.clock.now()
            report = Report(
                door=door, door_name=facts.name, form=facts.form, wiring=wiring_of(facts), device=device,
                program=__version__, begun=now, steps=doorside.steps(self.context.site, facts),
            )  # fmt: skip
            async with self.context.tables.transaction() as tx:
                number = await self._insert(tx, tester or by.name, report)
            under = Under(number, tester or by.name, report, version=self._first_version())
            self._under[door] = under
        await self.context.facts.audit(by, "begin", {"door": door, "run": number})
        return under.now(now)

    async def step(self, door: str, key: str) -> NowOut:
        """Begin a step, or begin it again. Raises `WiringError` while another one is running."""
        async with self._lock:
            under, facts = await self._open(door), self._door(door)
            found = under.find(key)
            if under.step is not None:
                raise WiringError("wiring.one_at_a_time")
            if found.outcome is Outcome.ABSENT:
                raise WiringError("wiring.absent")
            self._ready(facts)
            self._listen()
            if found.outcome is not Outcome.WAITING:
                found = again(found, found.says or "wiring.again", found.ended or self.context.clock.now())
            now = self.context.clock.now()
            started = found.model_copy(update={"outcome": Outcome.RUNNING, "begun": now, "ended": None})
            under.put(started)
            scene = doorside.scene(self.context.site, facts, found, now, under.freed_until)
            under.key, under.step = key, StepRun(SCRIPTS[found.kind], scene)
            await self._settle(under)
        return under.now(self.context.clock.now())

    async def answer(self, door: str, choice: str) -> NowOut:
        """What the installer saw. Raises `WiringError` when nothing is asked, or something else."""
        async with self._lock:
            under = await self._open(door)
            if under.step is None or choice not in under.step.choices:
                raise WiringError("wiring.not_asked")
            await self._feed(under, Answered(self.context.clock.now(), choice))
        return under.now(self.context.clock.now())

    async def skip(self, door: str, key: str, reason: str) -> NowOut:
        """A step cannot be tested here, and why. A running one ends with it."""
        async with self._lock:
            under = await self._open(door)
            found = under.find(key)
            if found.outcome is Outcome.ABSENT or (under.step is not None and under.key != key):
                raise WiringError("wiring.one_at_a_time" if under.step is not None else "wiring.absent")
            if under.step is not None:
                under.step, under.key = None, ""
            if found.outcome in {Outcome.FAILED, Outcome.PASSED}:
                found = again(found, found.says or "wiring.again", found.ended or self.context.clock.now())
            now = self.context.clock.now()
            under.put(
                found.model_copy(update={"outcome": Outcome.SKIPPED, "why": reason.strip(), "ended": now})
            )
            await self._write(under)
        return under.now(now)

    async def finish(self, by: Actor, door: str) -> RunOut:
        """End the test: its report is written and told to the journal with its digest. Steps that were not tested stay
        so, and the result says it. Raises `WiringError` while a step is running."""
        async with self._lock:
            under = await self._open(door)
            if under.step is not None:
                raise WiringError("wiring.one_at_a_time")
            now = self.context.clock.now()
            result = result_of(step.outcome for step in under.report.steps)
            under.report = under.report.model_copy(update={"ended": now, "result": result})
            text = under.report.model_dump_json()
            row = {"open_door": None, "ended": now, "result": str(result), "report": text}
            async with self.context.tables.transaction() as tx:
                await tx.execute(update(runs).where(runs.c.id == under.id).values(**row))
            del self._under[door]
            self._last[door] = RunRow(
                id=under.id,
                door=door,
                begun=under.report.begun,
                ended=now,
                result=result,
                tester=under.tester,
            )
            self._show(under)
        data = {"run": under.id, "result": str(result), "digest": digest(text)}
        await self.context.facts.record("Tested", door=door, data=data)
        await self.context.facts.audit(by, "finish", {"door": door, "run": under.id, "result": str(result)})
        return RunOut(id=under.id, tester=under.tester, report=under.report, digest=digest(text))

    # ---------------------------------------------------------------------------------------------------------- hearing

    async def run(self) -> None:
        await self.load()
        while True:
            if any(under.step is not None for under in self._under.values()):
                self._listen()  # begun again after a failure in the middle of a step
            await self._busy.wait()
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._hear())
                try:
                    await self._look()
                finally:
                    listening.cancel()
                    self._busy.clear()
                    self._ear = None

    def _listen(self) -> None:
        """From here on nothing of what devices report is missed, also before `run` has woken."""
        if self._ear is None:
            self._ear = self.context.facts.hear(KINDS)
        self._busy.set()

    async def _hear(self) -> None:
        assert self._ear is not None
        async for fact in self._ear:
            for door, under in list(self._under.items()):
                event = doorside.event(self.context.site, door, fact)
                if event is None or under.step is None:
                    continue
                async with self._lock:
                    if under.step is not None and fact.at >= (under.find(under.key).begun or 0.0):
                        await self._feed(under, event)

    async def _look(self) -> None:
        """Until no step is running: ends those whose time is up."""
        while any(under.step is not None for under in self._under.values()):
            await asyncio.sleep(LOOK)
            async with self._lock:
                now = self.context.clock.now()
                for under in list(self._under.values()):
                    if under.step is not None and under.step.deadline <= now:
                        await self._feed(under, TimeUp(now))

    # ----------------------------------------------------------------------------------------------------------- inside

    async def _feed(self, under: Under, event: Event) -> None:
        step = under.step
        assert step is not None
        before = standing(step)
        step.feed(event)
        if (
            standing(step) != before
        ):  # most of what a busy site tells changes nothing, and is not written down
            await self._settle(under)

    async def _settle(self, under: Under) -> None:
        """After a step was begun or fed: note what it has, carry out what it wants, end it when it has ended."""
        step = under.step
        assert step is not None
        notes = tuple(NoteOut(at=n.at, by=n.by, says=n.says, values=dict(n.values)) for n in step.scene.notes)
        changes: dict[str, Any] = {"outcome": step.outcome, "notes": notes}
        if step.outcome is not Outcome.RUNNING:
            says, values = (step.failure.says, step.failure.values) if step.failure is not None else ("", {})
            changes |= {"ended": step.scene.now, "says": says, "values": dict(values)}
        under.put(under.find(under.key).model_copy(update=changes))
        key = under.key
        if step.error is not None:
            self.context.log.error(
                "a step of the wiring test broke off", door=under.report.door, step=key, exc_info=step.error
            )
        if under.find(key).kind is Kind.EXIT_BUTTON:
            under.freed_until = step.scene.now + LEAVING
        if step.outcome is not Outcome.RUNNING:
            under.step, under.key = None, ""
        await self._write(under)
        if step.do is not None:
            task = asyncio.create_task(self._carry_out(under, step, step.do, key))
            self._tasks.add(task)
            task.add_done_callback(self._carried_out)

    async def _carry_out(self, under: Under, step: StepRun, do: Do, key: str) -> None:
        """The command stands in the journal under this plugin's name. One that cannot be given is one not obeyed."""
        reason = REASON.format(run=under.id, step=key)
        try:
            obeyed = (await self.context.doors.command(under.report.door, do.mode, reason)).ok
        except Exception as error:
            self.context.log.error(
                "a command of the wiring test failed", door=under.report.door, exc_info=error
            )
            obeyed = False
        async with self._lock:
            if under.step is step:
                await self._feed(under, Did(self.context.clock.now(), obeyed))

    def _carried_out(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.context.log.error("what a command came to was not written down", exc_info=error)

    async def _write(self, under: Under) -> None:
        text = under.report.model_dump_json()
        async with self.context.tables.transaction() as tx:
            await tx.execute(update(runs).where(runs.c.id == under.id).values(report=text))
        self._show(under)

    def _show(self, under: Under) -> None:
        under.version = self._version = max(under.version, self._version) + 1
        before, under.changed = under.changed, asyncio.Event()
        before.set()

    def _first_version(self) -> int:
        """Above every one that a page may have been told: those of this run of the program, and, since there are fewer
        than one change a millisecond, of those before."""
        self._version = max(self._version + 1, int(self.context.clock.now() * 1000))
        return self._version

    async def _insert(self, tx: Transaction, tester: str, report: Report) -> int:
        number = int((await tx.execute(select(func.coalesce(func.max(runs.c.id), 0)))).scalar_one()) + 1
        row = {
            "id": number, "door": report.door, "open_door": report.door, "begun": report.begun, "ended": None,
            "result": str(Result.OPEN), "tester": tester, "report": report.model_dump_json(),
        }  # fmt: skip
        await tx.execute(insert(runs), [row])
        return number

    async def _open(self, door: str) -> Under:
        """The test under way at a door; called within the lock, or somebody else may end it before it is written to."""
        self._door(door)
        await self.load()
        if door not in self._under:
            raise WiringError("wiring.none_under_way")
        return self._under[door]

    def _door(self, door: str) -> Door:
        facts = self.context.site.doors.get(door)
        if facts is None:
            raise WiringError("wiring.no_door", HTTPStatus.NOT_FOUND)
        return facts

    def _ready(self, facts: Door) -> None:
        if "doors" not in (self.context.granted or {}):
            raise WiringError("wiring.not_allowed")
        view = self.context.site.door(facts.id)
        if not view.online:
            raise WiringError("wiring.offline", device=facts.device)
        if view.mode not in {DoorMode.LOCKED, DoorMode.ACCESSED}:
            raise WiringError("wiring.not_locked")
