"""A journal entry as people read it: one sentence, where, and how grave, in the reader's language.

What a reader may not see is not in it: a guard learns that somebody was let in at a door, not who; see `Sight`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from menwei.routes import Call, Model, Role

if TYPE_CHECKING:
    from menwei.journal import Recorded
    from menwei.services import House


class Tone(StrEnum):
    """The colour of an entry; the words say the same."""

    GOOD = "good"
    PLAIN = "plain"
    WARN = "warn"
    BAD = "bad"


class EntryView(Model):
    """One entry. `shown` says whether it belongs into a list of passages and alarms; the others only move a door.

    `holder` and `actor` are None for whoever may not know, and where retention has taken them.
    """

    position: str
    kind: str
    at: float
    time: datetime
    door: str
    access_point: str
    place: str
    text: str
    detail: str
    reasons: tuple[str, ...] = ()
    tone: Tone
    shown: bool
    holder: int | None = None
    credential: int | None = None
    actor: str | None = None
    reason: str | None = None


SHOWN = frozenset(
    {
        "AccessGranted",
        "AccessDenied",
        "AccessNotTaken",
        "CodesSuspended",
        "DoorCommand",
        "DoorFault",
        "Duress",
        "Fire",
        "Tamper",
        "DoorAlarm",
    }
)
"""What a guard wants to see go by; a contact's every move is not among it. Plugins add to it: `shown`."""

LIVE = SHOWN | {
    "AccessTaken",
    "DoorState",
    "DoorMode",
    "ExitButton",
    "CallButton",
    "DeviceState",
    "RecognizerState",
}
"""What the live stream sends: these too, because each may change how a door looks."""


def shown(house: House) -> frozenset[str]:
    """`SHOWN`, and what the plugins' manifests put beside it: a refusal of a recognizer, a suspicion of a policy."""
    return SHOWN | house.shows()


def live(house: House) -> frozenset[str]:
    """The same of `LIVE`."""
    return LIVE | house.shows()


_TONES = {
    "AccessGranted": Tone.GOOD,
    "AccessTaken": Tone.GOOD,
    "AccessDenied": Tone.WARN,
    "AccessNotTaken": Tone.PLAIN,
    "CodesSuspended": Tone.WARN,
    "DoorFault": Tone.BAD,
    "Duress": Tone.BAD,
    "Fire": Tone.BAD,
    "Tamper": Tone.BAD,
}
_ALARM_TONES = {"Normal": Tone.GOOD, "DoorOpenPreAlarm": Tone.WARN}


def knows_people(role: str) -> bool:
    """Whether this role may read whom an entry is about. Guards see doors."""
    return role in {Role.COMMITTEE, Role.OPERATOR}


def view(call: Call, entry: Recorded) -> EntryView:
    """The entry for this caller."""
    known = getattr(entry, "personal", None) if knows_people(call.who.role) else None
    personal: Mapping[str, Any] = known or {}
    text, detail = _words(call, entry)
    plugins = entry.kind in call.house.shows()
    return EntryView(
        position=str(entry.position),
        kind=entry.kind,
        at=entry.at,
        time=datetime.fromtimestamp(entry.at, call.house.site.zone),
        door=entry.door,
        access_point=entry.access_point,
        place=place(call, entry.door, entry.access_point),
        text=text,
        detail=detail,
        reasons=tuple(dict.fromkeys(check["reason"] for check in entry.data.get("checks", ()))),
        tone=Tone.WARN if plugins else _tone(entry),
        shown=(plugins or entry.kind in SHOWN) and entry.data.get("alarm") != "Normal",
        holder=personal.get("holder"),
        credential=personal.get("credential"),
        actor=personal.get("actor"),
        reason=personal.get("reason"),
    )


def place(call: Call, door: str, access_point: str = "") -> str:
    """The door's name, with the side of it where there is one. Doors that the config no longer has keep their id."""
    site = call.house.site
    name = site.doors[door].name if door in site.doors else door
    point = site.access_points.get(access_point)
    if point is None or point.name in {"", name}:
        return name
    return call.t("entry.place", door=name, point=point.name)


def _tone(entry: Recorded) -> Tone:
    if entry.kind == "DoorAlarm":
        return _ALARM_TONES.get(str(entry.data.get("alarm")), Tone.BAD)
    if entry.kind == "DoorCommand" and entry.data.get("refused"):
        return Tone.WARN
    return _TONES.get(entry.kind, Tone.PLAIN)


def _words(call: Call, entry: Recorded) -> tuple[str, str]:
    """The sentence and what stands small beside it."""
    data = entry.data
    if entry.kind == "DoorCommand":
        says = call.t(
            "entry.DoorCommand", role=call.t(f"role.{data['role']}"), mode=call.t(f"mode.{data['mode']}")
        )
        return says, call.t(data["refused"]) if data.get("refused") else ""
    if entry.kind == "DoorAlarm":
        return call.t(f"alarm.{data['alarm']}"), ""
    if entry.kind == "DoorMode":
        return call.t("entry.DoorMode", mode=call.t(f"mode.{data['mode']}")), ""
    if entry.kind == "DoorState":
        return call.t("entry.DoorState", state=call.t(f"state.{data['state']}")), ""
    if entry.kind == "AccessGranted" and data.get("decided") == "controller":
        key = "entry.by_controller_against" if data.get("against") else "entry.by_controller"
        return call.t("outcome.AccessGranted"), call.t(key)
    if entry.kind in {"DeviceState", "RecognizerState"}:
        state = call.t(f"supervisor.{data['state']}")
        name = data["device"] if entry.kind == "DeviceState" else data["recognizer"]
        return call.t(f"entry.{entry.kind}", name=name, state=state), ""
    if entry.kind == "AccessDenied":
        checks = data.get("checks") or [{"reason": "Other"}]
        why, seen = call.t(f"reason.{checks[0]['reason']}"), _recognition(call, entry)
        return call.t("outcome.AccessDenied"), call.t("entry.both", one=why, other=seen) if seen else why
    if entry.kind == "AccessGranted":
        return call.t("outcome.AccessGranted"), _recognition(call, entry)
    for key in (f"outcome.{entry.kind}", f"entry.{entry.kind}", f"alarm.{entry.kind}"):
        if call.house.messages.find(call.language, key) is not None:
            return call.t(key), ""
    return entry.kind, ""


def _recognition(call: Call, entry: Recorded) -> str:
    """How sure a recognizer was, and how it made sure of a person, in its plugin's words; "" where nobody was seen."""
    seen = entry.data.get("recognition")
    if not seen or "liveness" not in seen:
        return ""
    plugin = str(seen["recognizer"]).partition(".")[0]
    key = f"{plugin}.method.{seen['liveness']}"
    known = call.house.messages.find(call.language, key) is not None
    liveness = call.t(key) if known else seen["liveness"]
    return call.t("entry.recognition", score=f"{seen['score']:.2f}", liveness=liveness)
