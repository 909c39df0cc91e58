"""What `menwei demo` shows: a page for people, and one JSON object a scene for programs."""

from __future__ import annotations

import json
import shlex
import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from menwei import Discovered
from menwei.messages import Messages
from menwei.model import Outcome
from menwei_simulator.diary import Comparison
from menwei_simulator.scene import Expected, Result, Scene, Signed

BEGINNINGS = ("outcome", "alarm", "simulator.demo.decision")
"""Under which message keys the words for a decision, an event or an alarm stand."""


def words() -> Messages:
    """The core's sentences and ours."""
    messages = Messages()
    messages.add("menwei_simulator")
    return messages


class Showing:
    """Writes for people in one language, to standard error where standard output belongs to programs (`as_json`)."""

    def __init__(self, language: str, as_json: bool) -> None:
        self.language = language
        self.as_json = as_json
        self.console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False)
        self._messages = words()
        self._number = 0

    def say(self, key: str, **values: object) -> str:
        return self._messages.t(self.language, key, **values)

    def line(self, key: str, style: str = "", **values: object) -> None:
        self.console.print(Text(self.say(key, **values), style=style), soft_wrap=True)

    def found(self, devices: Sequence[Discovered]) -> None:
        """What discovery saw."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("id", "title", "address"):
            table.add_column(self.say(f"cli.column.{column}"))
        for device in devices:
            port = device.config.get("port", "")
            table.add_row(Text(device.id), Text(device.title), Text(f"{device.address}:{port}"))
        self.console.print(table)

    def command(self, words: Sequence[str]) -> None:
        """A command line as somebody would type it."""
        self.console.print(Text("$ menwei " + shlex.join(words), style="bold cyan"), soft_wrap=True)

    def open_door(self, url: str, admin: str, accounts: Mapping[str, Signed], config: str) -> None:
        """Where to look, and with which password."""
        self.console.rule(style="dim")
        self.line("simulator.demo.console", "bold green", url=url)
        self.line("simulator.demo.admin", password=admin)
        for account in accounts.values():
            self.line("simulator.demo.account", name=account.name, password=account.password)
        self.line("simulator.demo.config", "dim", config=config)
        self.console.rule(style="dim")

    def clock(self, at: float, zone: ZoneInfo) -> None:
        """The house's clock was put to this."""
        shown = datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S")
        self.line("simulator.demo.clock", "magenta", at=shown)

    def begins(self, scene: Scene) -> None:
        self._number += 1
        head = Text(f"{self._number:>3}  ", style="dim")
        head.append(self.say(scene.door_key, number=scene.door.number), style="bold")
        head.append("  " + self.say(f"simulator.demo.scene.{scene.id}", who=self.who(scene)))
        self.console.print(head, soft_wrap=True)

    def who(self, scene: Scene) -> str:
        return scene.who.name if scene.who else self.say("simulator.demo.somebody")

    def ended(self, scene: Scene, result: Result, holder: str | None) -> None:
        good = result.decision in {Outcome.GRANTED, "DoorCommand", "ExitButton"}
        colour = "green" if good else "red" if result.decision.startswith("Door") else "yellow"
        line = Text("     ")
        line.append(self.decision(result.decision), style=f"bold {colour}")
        for reason in result.reasons:
            if self._messages.find(self.language, f"reason.{reason}") is not None:
                line.append(" · " + self.say(f"reason.{reason}"), style=colour)
        for event, count in Counter(result.events).items():
            alarm = event not in {"AccessTaken", "AccessNotTaken"}
            times = f" ×{count}" if count > 1 else ""
            line.append(" · " + self.decision(event) + times, style="red" if alarm else "dim")
        if result.latency is not None:
            line.append(f"  {result.latency * 1000:.1f} ms", style="cyan")
        if result.shown:
            line.append(f"  【{result.shown}】", style="dim")
        self.console.print(line, soft_wrap=True)
        if not agrees(scene, result):
            self.line("simulator.demo.wrong", "bold red", scene=scene.id, expected=_plain(scene.expected))
        if self.as_json:
            self._print_json(scene, result, holder)

    def decision(self, name: str) -> str:
        """A decision, event or alarm in words."""
        for key in (f"{begin}.{name}" for begin in BEGINNINGS):
            if self._messages.find(self.language, key) is not None:
                return self.say(key)
        return name

    def _print_json(self, scene: Scene, result: Result, holder: str | None) -> None:
        facts: dict[str, Any] = {
            "scene": scene.id,
            "door": scene.door.id,
            "by": scene.by,
            "holder": holder,
            "decision": result.decision,
            "reasons": list(result.reasons),
            "refused_by": list(result.refused_by),
            "events": list(result.events),
            "shown": result.shown,
            "latency_ms": None if result.latency is None else round(result.latency * 1000, 1),
            "expected": _plain(scene.expected),
            "ok": agrees(scene, result),
        }
        sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def latencies(self, seconds: Sequence[float]) -> None:
        if seconds:
            middle, worst = statistics.median(seconds) * 1000, max(seconds) * 1000
            self.line(
                "simulator.demo.latency", count=len(seconds), middle=f"{middle:.1f}", worst=f"{worst:.1f}"
            )

    def compared(self, found: Comparison) -> None:
        if found.equal:
            self.line("simulator.demo.equal", "green", pulses=found.pulses, records=found.records)
            return
        for name in ("alone", "lacking", "twice"):
            for position in getattr(found, name):
                self.line(f"simulator.demo.{name}", "bold red", position=position or "–")


def agrees(scene: Scene, result: Result) -> bool:
    """Whether a scene ended as it must."""
    return _plain(scene.expected) == _plain(result)


def _plain(end: Expected | Result) -> dict[str, Any]:
    """What of an end must be so, and not otherwise."""
    return {
        "decision": end.decision,
        "reasons": list(end.reasons),
        "refused_by": list(end.refused_by),
        "events": list(end.events),
    }
