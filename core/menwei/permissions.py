"""What the permissions of a plugin give it: the typed objects behind `Context`.

    manifest              Context            what it is
    tables: [...]         .tables            its own tables, beside the rights in one database, one transaction
    rights: true          .rights, .people   credentials and access profiles; people, with sealed names
    facts, publishes      .facts             journal kinds it hears, and those it writes itself
    doors: true           .doors             commands to doors, under its own name
    services: [...]       .service(Class)    what another plugin publishes as its own API
    files: true           .files             a folder of its own below the site's data, and keys of its own
    subjects: true        .subjects          for recognizers: which of the people it enrolled belong to a door
    (always)              .site              the site's zone, language, access points, what doors are now

`rights` and `doors` must also be allowed in the config. The objects are made by `granting.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from menwei.model import (
    FOREVER,
    AccessPoint,
    AccessProfile,
    Actor,
    Credential,
    CredentialIdentifier,
    Door,
    DoorAlarm,
    DoorMode,
    DoorState,
)

if TYPE_CHECKING:
    from sqlalchemy import CursorResult, Table
    from sqlalchemy.sql import Executable

    from menwei.chain import Position
    from menwei.changes import Change
    from menwei.newcomers import Entered, NewPerson
    from menwei.personal import Person


# ---------------------------------------------------------------------------------------------------------- own tables


class Reading(Protocol):
    """One state of the plugin's own tables."""

    async def execute(self, statement: Executable, rows: Any = None) -> CursorResult[Any]:
        """Run a SQLAlchemy Core statement. Raises `PermissionError` when it names a table that is not the plugin's."""


class Transaction(Reading, Protocol):
    """One write transaction: durable together, or not at all."""

    async def upsert(self, table: Table, rows: Sequence[dict[str, Any]], once: Sequence[str] = ()) -> None:
        """Insert the rows, or set the columns they name where the primary key is there already, `once` aside."""

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call this once the transaction is durable, before the next writer starts. It must not fail or wait."""


class Tables(Protocol):
    """The tables the plugin registered (`register_schema`), and the transactions in which rights change with them."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """The one way to write; waits for the writer before. Rolled back when the block raises."""

    def within(self, tx: Transaction) -> Transaction:
        """The transaction of another plugin's service, for this plugin's own tables: the rows of both are durable
        together."""

    def read(self) -> AbstractAsyncContextManager[Reading]:
        """One state of the tables; waits for nobody."""

    def blind(self, text: str) -> bytes:
        """16 bytes by which an exact text (another system's number) is looked up without being stored: a keyed hash
        that is this plugin's own. Not for names: whoever has the machine key can try guesses."""


# -------------------------------------------------------------------------------------------------- rights and people


class RightsWriter(Protocol):
    """The rights the doors decide by. Changes are made under the plugin's name; `by` says for whom it acts."""

    async def apply(self, tx: Transaction, changes: Iterable[Change], *, by: Actor | None = None) -> int:
        """Make the changes, in order, as one revision; returns its number. Raises a `RightsError` and then has changed
        nothing. `tx` is one of `Context.tables`: the plugin's rows and the rights are durable together."""

    def credential(self, credential: int) -> Credential | None:
        """As the doors see it now; a change shows once its transaction is durable."""

    def of_holder(self, holder: int) -> tuple[Credential, ...]:
        """A person's credentials, ended ones included."""

    def find(self, identifier: CredentialIdentifier | bytes) -> Credential | None:
        """Whose card (or code) this is. In a review: on what the `digest` of a `PutIdentifier` stands so far."""

    def profile(self, profile: str) -> AccessProfile | None:
        """An access profile of the config or the store."""


class PeopleDesk(Protocol):
    """People, as a desk deals with them: names go in sealed, card numbers go in hashed, neither comes out again.

    Every method takes the transaction `tx` of `Context.tables`, and raises a `RightsError` when it cannot be done.
    """

    async def add(
        self,
        tx: Transaction,
        name: str,
        *,
        external_id: str | None = None,
        phone: str = "",
        note: str = "",
        extended: bool = False,
        by: Actor | None = None,
    ) -> int:
        """Enter a person; returns the holder's id."""

    async def add_many(
        self, tx: Transaction, persons: Sequence[NewPerson], *, by: Actor | None = None
    ) -> Sequence[Entered]:
        """Enter many people with their credentials in one step, in their order; some hundreds at a time."""

    async def add_credential(
        self,
        tx: Transaction,
        holder: int,
        identifiers: Sequence[CredentialIdentifier],
        *,
        profiles: Sequence[str],
        valid_from: float,
        valid_to: float = FOREVER,
        pin: str | None = None,
        label: str = "",
        by: Actor | None = None,
    ) -> int:
        """Give a person one more credential, which all of `identifiers` mean; returns its id."""

    async def end(self, tx: Transaction, holder: int, *, by: Actor | None = None) -> None:
        """The person leaves for good: every credential ends, and can not be restored."""

    async def identify(self, tx: Transaction, holder: int, handle: str, *, by: Actor) -> None:
        """The person is the one of the identity document that `by` had read at an enrolment reader under this `handle`
        (`POST /api/documents/capture`). It works once."""

    async def put_documents(
        self, tx: Transaction, numbers: Mapping[int, str], *, by: Actor | None = None
    ) -> None:
        """These people have the identity documents of these numbers, also where somebody else has them already: for lists,
        which a person has looked at. What is kept is a keyed hash and four characters. Raises `UnknownHolder`."""

    async def by_documents(self, numbers: Sequence[str]) -> Mapping[str, frozenset[int]]:
        """Who is known by these numbers of identity documents, those who have left included. For lists that hold the
        numbers; nobody gets one out of here."""

    async def by_external_id(self, external_id: str) -> int | None:
        """The holder whose number in another list this is. Reads what is durable, not what `tx` holds."""

    async def read(self, holders: Sequence[int], key: Any = None) -> Mapping[int, Person]:
        """People who exist, by id. `key` is `Call.key` of an unlocked session: without it names are None."""

    async def capture(self, reader: str, seconds: float) -> CredentialIdentifier:
        """The next card touched at `reader` ("device/name"), of an access point or at a desk, instead of a decision
        there. Raises `TimeoutError`, `NotReady` when the reader is away, `ReaderBusy` when somebody waits there
        already, `KeyError` when there is no such reader for cards."""


# ------------------------------------------------------------------------------------------------------------- facts


@dataclass(frozen=True, slots=True)
class Fact:
    """One journal entry without its personal part. `id` is its place in the journal, `at` in seconds since the epoch."""

    id: str
    kind: str
    at: float
    door: str
    access_point: str
    data: Mapping[str, Any]


class Facts(Protocol):
    """The journal, as far as the manifest says: `facts` are the kinds it hears, `publishes` those it writes.

    A kind of its own is written `Name` here and in the manifest, and stands in the journal as `package.Name`; other
    plugins and notifiers hear it by that name. `data` is JSON and holds nothing personal; `personal` is sealed, and
    forgotten with the passages (`journal.passages`).
    """

    def publish(
        self,
        kind: str,
        *,
        door: str = "",
        access_point: str = "",
        data: Mapping[str, Any] | None = None,
        personal: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell without waiting. Raises `PermissionError` for a kind that is not declared."""

    async def record(
        self,
        kind: str,
        *,
        door: str = "",
        access_point: str = "",
        data: Mapping[str, Any] | None = None,
        personal: Mapping[str, Any] | None = None,
    ) -> str | None:
        """The same, but waits until it is durable; returns its id, None when the disk did not answer in time."""

    async def read(
        self,
        kinds: Iterable[str],
        *,
        since: float | None = None,
        until: float | None = None,
        limit: int = 500,
        newest_first: bool = False,
    ) -> list[Fact]:
        """Durable facts of these kinds (the full names), `since` ≤ `at` < `until`. Raises `PermissionError`."""

    def follow(self, name: str, kinds: Iterable[str]) -> AsyncIterator[Fact]:
        """Every fact of these kinds from now on, for ever, behind a durable cursor of that `name`: after a restart it
        goes on where it was; what was being worked on comes again."""

    def hear(self, kinds: Iterable[str]) -> AsyncIterator[Fact]:
        """Every fact of these kinds from this call on, as long as somebody listens; nothing of it is kept. For what
        only matters while a person waits for it."""

    async def audit(
        self,
        actor: Actor,
        action: str,
        data: Mapping[str, Any] | None = None,
        personal: Mapping[str, Any] | None = None,
    ) -> None:
        """Record that somebody did or looked at something through this plugin; `action` stands behind its name."""


# --------------------------------------------------------------------------------------------- files and recognizers


class Files(Protocol):
    """Where a plugin keeps what is no row of a table: the files of networks, a store of its own."""

    @property
    def folder(self) -> Path:
        """`<data>/<plugin>`; it may not be there yet. Nobody makes or empties it but the plugin."""

    def subkey(self, purpose: str) -> bytes:
        """32 bytes derived from the machine key, for this plugin and `purpose` alone; always the same."""


class Subjects(Protocol):
    """What a recognizer may know of the rights: about the people it enrolled itself, by the values it gave them
    (`Recognition.subject`), and nothing about anybody else. All of it is in memory; ask as often as needed."""

    def admitted(self, access_point: str, subjects: Iterable[str]) -> frozenset[str]:
        """Those of `subjects` who belong to this door: the credential they are enrolled with is enabled and not over, and
        so is one of their credentials (it may be the same) that has a rule for this access point, at whatever hour. Whether somebody may pass
        now is decided when they stand there."""

    def credential(self, subject: str) -> int | None:
        """The id of the credential somebody is enrolled with, as `Recognizer.expect` names it; None for nobody's."""

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call this after every change of rights, until what is returned is called. It must be quick."""


# ---------------------------------------------------------------------------------------------------- doors and the site


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What became of a command: `says` is a message key, `position` where it stands in the journal."""

    ok: bool
    says: str
    position: Position | None = None


class DoorCommands(Protocol):
    """A plugin acts on doors under its own name, in the journal like everybody."""

    async def command(self, door: str, mode: DoorMode, reason: str) -> CommandResult: ...


@dataclass(frozen=True, slots=True)
class DoorView:
    """What the console and the API show of a door."""

    id: str
    name: str
    mode: DoorMode
    state: DoorState
    alarm: DoorAlarm
    device: str
    online: bool


class SiteView(Protocol):
    """What every plugin may know of the place."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def zone(self) -> ZoneInfo: ...
    @property
    def language(self) -> str: ...
    @property
    def access_points(self) -> Mapping[str, AccessPoint]:
        """As configured now: an adoption changes them while the program runs."""

    @property
    def doors(self) -> Mapping[str, Door]:
        """As configured now: how each is wired, and its times."""

    def door(self, door: str) -> DoorView:
        """What a door is now. Raises `KeyError` for a door the site does not have."""


__all__ = [
    "CommandResult", "DoorCommands", "DoorView", "Fact", "Facts", "Files", "PeopleDesk", "Reading", "RightsWriter",
    "SiteView", "Subjects", "Tables", "Transaction",
]  # fmt: skip
