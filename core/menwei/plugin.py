"""What a plugin author writes: typed classes, each with a `name`, a `Config` and a docstring.

Hooks (`hookspecs.py`) only hand these classes over. The core makes the instances with a `Context` (`context.py`) that
holds what the plugin's manifest declared and the site allowed, nothing more, and with what they tell it through
(`reports.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from menwei.boardfacts import BoardAbilities, BoardCard, BoardHealth, WeekHours
from menwei.context import Config, Context, Repair
from menwei.model import (
    AccessPoint,
    Credential,
    DeviceInfo,
    DoorMode,
    Feedback,
    IdentifierType,
    Part,
    Reason,
)
from menwei.reports import Propose, Report, Reports

if TYPE_CHECKING:
    from menwei.changes import Change
    from menwei.model import Actor
    from menwei.permissions import Reading

# ----------------------------------------------------------------------------------------------------------- drivers


class Driver(ABC):
    """One device: a controller, a reader, a relay board. An instance lives from `run` to its end.

    The supervisor calls `run` in a task of its own, and again after back-off when it raised `NotReady` or returned.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Config]]
    decides: ClassVar[frozenset[str]] = frozenset({"host"})
    """Which ways of deciding the driver can do: "host", "controller"."""
    identifiers: ClassVar[frozenset[IdentifierType]] = frozenset({IdentifierType.CARD, IdentifierType.PIN})
    """Which identifiers its readers deliver."""
    card_formats: ClassVar[frozenset[str]] = frozenset()
    """Card formats its readers deliver that do not follow with certainty from every other (`wiegand26`): cards enrolled
    at this site are then known in these too."""
    locks: ClassVar[bool] = True
    """Whether it can work a lock; False for mere readers and cameras."""
    inputs: ClassVar[frozenset[Part]] = frozenset()
    """Which parts of a door it reports (`Reports.door_state`, `exit_button` …) where they are wired to the device."""

    def __init__(self, context: Context, config: Any, reports: Reports) -> None:
        self.context = context
        self.config = config
        self.reports = reports

    @classmethod
    @abstractmethod
    async def probe(cls, config: Any) -> DeviceInfo:
        """The connection test: connect, ask who is there, disconnect. Called by `menwei adopt` before anything is
        written. Raises `NotReady` or `AuthFailed`, whose text is shown to the installer."""

    @abstractmethod
    async def run(self) -> None:
        """Connect, call `reports.ready`, serve until the device is lost, then raise `NotReady` (or `AuthFailed`).
        Cancelled at shutdown; closes what it opened."""

    @abstractmethod
    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        """Release `lock` for `seconds`. Called after the grant is durable. Returns when the device confirmed; raises
        `NotReady` or `TimeoutError` otherwise. Must not act after `deadline` (monotonic clock). `passage` is the
        journal position of the grant, for devices that keep a log; others ignore it."""

    @abstractmethod
    async def set_mode(self, lock: str, mode: DoorMode, deadline: float) -> None:
        """Hold `lock` in `mode` until told otherwise. Modes the hardware does not know become the nearest one:
        LockedDown, Blocked and DoubleLocked → locked; LockedOpen → unlocked."""

    # What follows is for drivers with "controller" in `decides`, of devices at whose readers the config says so. The core
    # calls one of these at a time, only while the device is ready; each raises `NotReady` or `TimeoutError` when the
    # device did not confirm, and may then have done a part.

    @classmethod
    def board(cls, config: Any) -> BoardAbilities | None:
        """What this device can hold and decide by itself; None: nothing. Asked by `menwei check` and at start, without
        a connection."""
        return None

    def held_cards(self) -> AsyncIterator[BoardCard]:
        """Every card the device holds now, read from the device: not what was written there. Hours that are none of
        `put_profiles` are told as they are; a card whose hours cannot be understood, with a first day after its last."""
        raise NotImplementedError

    async def put_profiles(self, profiles: Sequence[WeekHours]) -> None:
        """From now on cards may carry exactly these hours, beside day and night. Hours that cards on the device carry
        now keep their meaning until those cards are put anew or removed. Raises `CannotHold` when there is no room."""
        raise NotImplementedError

    async def put_cards(self, cards: Sequence[BoardCard]) -> None:
        """The device holds these cards, each in place of one of the same value; returns when it confirmed them all.
        Raises `CannotHold` when it is full."""
        raise NotImplementedError

    async def remove_cards(self, values: Sequence[str]) -> None:
        """The device holds none of these, whether it did or not."""
        raise NotImplementedError

    async def set_release_times(self, seconds: Mapping[str, float]) -> None:
        """For how long the device releases each lock when it decides by itself. The nearest it can do, not shorter."""
        raise NotImplementedError

    def board_health(self) -> BoardHealth:
        """How the device's clock and log stand, from memory: asked whenever somebody looks at the page of the boards."""
        return BoardHealth()

    async def feedback(self, reader: str, feedback: Feedback) -> None:  # noqa: B027  # what is not overridden does nothing
        """Show something at a reader. Called without being waited for; a device without lights does nothing."""

    def repairs(self) -> list[Repair]:
        """What the installer could mend about this device now."""
        return []


class Finder(ABC):
    """Looks for devices and proposes them. It never connects to one beyond what finding takes."""

    name: ClassVar[str]

    def __init__(self, interfaces: tuple[str, ...] = ()) -> None:
        """`interfaces`: addresses of the interfaces that the config chose to look on; empty for all."""
        self.interfaces = interfaces

    @abstractmethod
    async def find(self, propose: Propose) -> None:
        """Look until cancelled; call `propose` for each device seen, as often as it is seen."""


# ---------------------------------------------------------------------------------------------------------- policies


class _Pass:
    """The one answer that does not refuse. There is one object, `PASS`; nothing else is equal to it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "PASS"


PASS: Final = _Pass()
"""A policy has nothing against this passage. Anything else, `True` and `None` included, is a refusal."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """A policy is against this passage. `says` is a message key (see `locale/`), shown to the person at the door."""

    says: str
    reason: Reason = Reason.OTHER
    detail: str = ""


Answer = _Pass | Refuse


@dataclass(frozen=True, slots=True)
class Passage:
    """What a policy is asked about: a credential that its rules already allow. `at` is the time to judge by."""

    access_point: str
    door: str
    area_from: str
    area_to: str
    credential: Credential
    factors: frozenset[IdentifierType]
    at: float
    dry_run: bool = False
    """True for `menwei explain`: answer as always, remember nothing. Whoever asks need not be allowed to know where people
    are: an answer that comes from passages before says only that it refuses, without a place or a time."""


class Policy(ABC):
    """Refuses passages that the rules would allow. It cannot grant: no answer of it opens a door.

    All policies of a door are asked together, within one budget of 200 ms. An exception, a time-out or any answer
    that is not `PASS` denies with Reason Other and names the policy; three time-outs in a row deny at once until it
    answers again.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Config]]

    def __init__(self, context: Context, config: Any) -> None:
        self.context = context
        self.config = config

    @abstractmethod
    async def check(self, passage: Passage) -> Answer:
        """Called for every passage at a door that names this policy, after the rules passed. `PASS` or `Refuse`."""

    async def taken(self, passage: Passage) -> None:  # noqa: B027  # what is not overridden does nothing
        """The person went through (the contact said so, or the door has none). Called after the fact, not waited for."""

    def repairs(self) -> list[Repair]:
        return []


# ------------------------------------------------------------------------------------- recognizers and notifiers


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a recognizer does not serve the site as it is configured: a message key of its plugin with placeholders.
    `path` leads to the value inside the plugin's options that must be written or changed."""

    path: tuple[str | int, ...]
    message: str
    values: Mapping[str, str]


class Recognizer(ABC):
    """Says who stands at an access point, as often as somebody comes, with the one identifier type it declares.

    One instance serves every access point that has `cameras:` and whose security levels ask for its identifier type
    (`Context.site.access_points`, `AccessPoint.watched_for`); it begins anew when these change. Its `Config` are the
    plugin's options.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Config]]
    identifier: ClassVar[IdentifierType]
    format: ClassVar[str]

    def __init__(self, context: Context, config: Any, report: Report) -> None:
        self.context = context
        self.config = config
        self.report = report

    @classmethod
    def objections(cls, config: Any, points: Sequence[AccessPoint], folder: Path) -> list[Objection]:
        """What speaks against serving `points`, those it would serve, with these options. Asked by `menwei check` and at
        start, nothing running: the installer is told. The recognizer must leave alone what it objects to. `folder` is
        the plugin's own (`Context.files`), to be read only; it may not be there."""
        return []

    @abstractmethod
    async def run(self) -> None:
        """Call `report.ready()` once it can look, serve until cancelled; raise `NotReady` when the worker is lost."""

    def expect(self, access_point: str, credentials: tuple[Credential, ...]) -> None:  # noqa: B027  # what is not overridden does nothing
        """The first factor named these; only they are to be looked for until the next call (empty: everybody)."""

    def repairs(self) -> list[Repair]:
        return []


class Notifier(ABC):
    """Follows the journal and tells somebody. Its cursor is durable: an entry is handed over until `notify` returned."""

    name: ClassVar[str]
    Config: ClassVar[type[Config]]
    hears: ClassVar[frozenset[str]]
    """Journal kinds it hears; must be within the manifest's `facts`."""

    def __init__(self, context: Context, config: Any) -> None:
        self.context = context
        self.config = config

    @abstractmethod
    async def notify(self, entry: Mapping[str, Any]) -> None:
        """One journal entry without its personal part, in order. An exception: the same entry again after back-off."""

    def repairs(self) -> list[Repair]:
        return []


# ------------------------------------------------------------------------------------------------------- services


class Service(ABC):
    """A plugin's own life beside the doors: what its routes, commands, pages and policies share, and its background work.

    One instance is made at start, before policies are, and behind those of the plugins that the manifest names under
    `permissions.services`; routes reach it with `Call.service(Class)`, other objects of the plugin with
    `Context.service(Class)`. Its `Config` are the plugin's options. No service stands on the way of a passage: what a
    door needs to know is written into the rights.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Config]]

    def __init__(self, context: Context, config: Any) -> None:
        self.context = context
        self.config = config

    async def run(self) -> None:  # noqa: B027  many services have nothing to do in the background
        """Work until cancelled, or return when there is nothing (more) to do. Begun once the doors are served; not at
        all while a single command holds the data. An exception: begun again after back-off, and shown as a repair."""

    async def review(self, tx: Reading, changes: Sequence[Change], actor: Actor) -> None:  # noqa: B027
        """Refuse a change of rights, whoever makes it, by raising a `RightsError`: nothing of it is done then. Called
        within the transaction, only with changes that may give more (a credential written anew, or enabled, or meant by
        one more identifier): taking a right away is never asked about. Any other exception refuses too, and is told.
        `tx` reads the plugin's tables, with what this transaction has written."""

    def repairs(self) -> list[Repair]:
        return []


__all__ = [
    "PASS",
    "Answer",
    "Driver",
    "Finder",
    "Notifier",
    "Objection",
    "Passage",
    "Policy",
    "Recognizer",
    "Refuse",
    "Service",
]
