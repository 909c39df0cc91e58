"""What the HTTP side needs of the running house, exactly: the type that routes and pages are written against.

`house.Menwei` satisfies it; tests build a small one from the same real parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from menwei.context import Clock, Repair
from menwei.model import Actor, CredentialIdentifier, DeviceInfo, Document, DoorMode
from menwei.plugin import Service
from menwei.reports import Discovered

if TYPE_CHECKING:
    from menwei.accounts import Accounts
    from menwei.adoption import Adoption, NewDoor
    from menwei.boardlog import Merged
    from menwei.boardplan import BoardStatus
    from menwei.explain import Explanation
    from menwei.journal import Journal, Position
    from menwei.loader import PluginRow
    from menwei.messages import Messages
    from menwei.people import People
    from menwei.permissions import CommandResult, DoorView
    from menwei.rights import Rights
    from menwei.site import Site
    from menwei.supervisor import DeviceState

S = TypeVar("S", bound=Service)


class DoorViews(Protocol):
    """The doors as they are shown."""

    def views(self) -> list[DoorView]: ...

    def view(self, door: str) -> DoorView:
        """Raises `KeyError` for a door the site does not have."""


class Commands(Protocol):
    """The way on which people act on doors (`access.Line`)."""

    async def command(self, door_id: str, mode: DoorMode, actor: Actor, reason: str) -> CommandResult: ...


class Devices(Protocol):
    """Devices and their states (`supervisor.Supervisor`)."""

    def state(self, id: str) -> DeviceState: ...

    def states(self) -> dict[str, tuple[DeviceState, str]]: ...

    def info(self, id: str) -> DeviceInfo | None: ...


class Discovering(Protocol):
    """Devices somebody could adopt (`discovery.Discovery`)."""

    @property
    def devices(self) -> dict[str, Discovered]: ...


class DecidingBoards(Protocol):
    """Boards that decide by themselves (`boards.Boards`)."""

    def statuses(self) -> list[BoardStatus]: ...

    def deciding(self) -> bool:
        """Whether there is one here."""

    def pending(self, credential: int) -> list[str]: ...

    def look(self, device: str) -> None:
        """Raises `KeyError` for a device that decides nothing."""


class BoardLogs(Protocol):
    """What boards decided by themselves, merged into the journal (`boardlog.BoardLog`)."""

    async def last(self, device: str) -> Merged | None:
        """The newest entry of a board's log that was merged. Raises `NotReady` when the journal cannot be asked."""


class House(Protocol):
    """One running site, as the HTTP side sees it."""

    @property
    def site(self) -> Site: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def people(self) -> People: ...
    @property
    def rights(self) -> Rights: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def doors(self) -> DoorViews: ...
    @property
    def line(self) -> Commands: ...
    @property
    def supervisor(self) -> Devices: ...
    @property
    def discovery(self) -> Discovering: ...
    @property
    def boards(self) -> DecidingBoards: ...
    @property
    def board_log(self) -> BoardLogs: ...

    def drivers(self) -> Mapping[str, str]:
        """Device id → driver name, for every device of the config."""

    def plugin_rows(self, language: str) -> Sequence[PluginRow]:
        """The configured plugins, then those that are only installed."""

    def shows(self) -> frozenset[str]:
        """The plugins' journal kinds that stand among the passages (`permissions.shows`)."""

    def repairs(self) -> list[Repair]:
        """Everything a person could mend, the gravest first."""

    def service(self, cls: type[S]) -> S:
        """The running service of a plugin. Raises `LookupError`."""

    async def audit(
        self, actor: Actor, action: str, data: Mapping[str, Any], personal: Mapping[str, Any] | None = None
    ) -> Position | None:
        """Record that somebody looked at or changed something."""

    async def accept_clock(self) -> float:
        """Go by the machine's clock although it is behind, on a person's word; the caller audits. Returns by how many
        seconds it was behind, 0 when there was nothing to accept."""

    async def capture(self, device: str, reader: str, seconds: float) -> CredentialIdentifier:
        """The next card at a chosen reader, instead of a decision. Raises `TimeoutError`, `ReaderBusy` when somebody
        already waits there, `NotReady` when the reader is away."""

    async def capture_document(self, device: str, reader: str, seconds: float) -> Document:
        """The next identity document at a chosen enrolment reader. Raises as `capture` does."""

    async def explain(self, holder: int, access_point: str, at: float | None = None) -> Explanation:
        """Raises `KeyError` for an unknown holder or access point."""

    async def probe(self, device: str, settings: Mapping[str, Any] | None = None) -> DeviceInfo:
        """Test the connection to a discovered device and write nothing. Raises `KeyError` when nothing of that id is
        discovered, `AdoptionError`."""

    async def adopt(
        self, device: str, id: str, doors: Sequence[NewDoor], settings: Mapping[str, Any] | None = None
    ) -> Adoption:
        """Test the connection to a discovered device, write it into adopted.yaml and begin to use it. Raises
        `KeyError` when nothing of that id is discovered, `AdoptionError`."""
