"""pcscd through pyscard, one blocking call after another. For use in one thread, never in the event loop.

pyscard's calls return a status instead of raising, and answer nonsense when used after a failure; here every failure is
a `ServiceError`, and those that a person can mend are a `Trouble`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Self

from menwei_pcsc.trouble import Trouble, TroubleKind

PRESENT = 0x0020
GONE = 0x0004 | 0x0008
"""Bits of a reader's state: a card is there; pcscd does not know the reader, or cannot speak to it (any more)."""


class ServiceError(Exception):
    """A PC/SC call failed with `status`, one of the SCARD_E_… numbers of winscard.h."""

    def __init__(self, call: str, status: int, text: str) -> None:
        super().__init__(f"{call}: {text} (0x{status:08X})")
        self.status = status


@dataclass(frozen=True, slots=True)
class Seen:
    """What pcscd says about a reader: its flags and count of movements in `raw`, and the card's ATR."""

    raw: int = 0
    atr: bytes = b""

    @property
    def present(self) -> bool:
        return bool(self.raw & PRESENT)

    @property
    def gone(self) -> bool:
        return bool(self.raw & GONE)

    @property
    def movements(self) -> int:
        """Counted by pcscd in 16 bits: insertions and removals. Differs when a card left and came between two looks."""
        return (self.raw >> 16) & 0xFFFF


UNKNOWN = Seen()
"""Before the first look."""


def library() -> ModuleType:
    """pyscard's wrapper. Imported at the first use, so that a site without PC/SC readers needs no pyscard."""
    try:
        from smartcard import scard
    except ImportError as error:
        raise Trouble(
            TroubleKind.NO_LIBRARY,
            f"pyscard is not installed or does not load ({error}): pip install 'menwei[pcsc]' "
            "(it is built on this machine: apt-get install gcc libc6-dev python3-dev libpcsclite-dev)",
            detail=str(error),
        ) from error
    return scard  # type: ignore[no-any-return]


class Service:
    """A connection ("context") to pcscd. Raises `Trouble` when there is no pcscd to connect to."""

    def __init__(self) -> None:
        self._scard: Any = library()
        status, self._context = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_SYSTEM)
        if status in (self._scard.SCARD_E_NO_SERVICE, self._scard.SCARD_E_SERVICE_STOPPED):
            raise Trouble(
                TroubleKind.NO_SERVICE,
                "pcscd is not running: apt-get install pcscd, then systemctl enable --now pcscd.socket",
            )
        if status == self._scard.SCARD_W_SECURITY_VIOLATION:
            raise Trouble(
                TroubleKind.NOT_ALLOWED,
                "pcscd refuses this user: allow org.debian.pcsc-lite.access_pcsc in polkit",
            )
        self._check("SCardEstablishContext", status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # The status is not looked at: the context of a pcscd that died is already gone.
        self._scard.SCardReleaseContext(self._context)

    def readers(self) -> list[str]:
        status, names = self._scard.SCardListReaders(self._context, [])
        if status == self._scard.SCARD_E_NO_READERS_AVAILABLE:
            return []
        self._check("SCardListReaders", status)
        return list(names)

    def look(self, reader: str, known: Seen, seconds: float) -> Seen:
        """Waits until the reader differs from what is known of it; returns `known` when the time is up."""
        scard = self._scard
        status, states = scard.SCardGetStatusChange(self._context, int(seconds * 1000), [(reader, known.raw)])
        if status == scard.SCARD_E_TIMEOUT:
            return known
        if status in (scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE):
            return Seen(GONE)
        self._check("SCardGetStatusChange", status)
        _, raw, atr = states[0]
        return Seen(raw, bytes(atr))

    def connect(self, reader: str) -> Card:
        """Powers the card up. Raises `ServiceError`, also when it has just left."""
        scard = self._scard
        status, handle, protocol = scard.SCardConnect(
            self._context, reader, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        )
        self._check("SCardConnect", status)
        return Card(self, handle, protocol)

    def transmit(self, handle: int, protocol: int, command: bytes) -> bytes:
        scard = self._scard
        header = scard.SCARD_PCI_T0 if protocol == scard.SCARD_PROTOCOL_T0 else scard.SCARD_PCI_T1
        status, response = scard.SCardTransmit(handle, header, list(command))
        self._check("SCardTransmit", status)
        return bytes(byte & 0xFF for byte in response)

    def disconnect(self, handle: int) -> None:
        # Left powered: readers that are told to cut the power look for the card anew, and find it "inserted" again.
        # The status is not looked at: the card may be gone, which the next look at the reader tells.
        self._scard.SCardDisconnect(handle, self._scard.SCARD_LEAVE_CARD)

    def _check(self, call: str, status: int) -> None:
        if status != self._scard.SCARD_S_SUCCESS:
            raise ServiceError(call, status & 0xFFFFFFFF, self._scard.SCardGetErrorMessage(status))


class Card:
    """A powered card; let go of at the end of `with`."""

    def __init__(self, service: Service, handle: int, protocol: int) -> None:
        self._service = service
        self._handle = handle
        self._protocol = protocol

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._service.disconnect(self._handle)

    def ask(self, command: bytes) -> bytes:
        """One command, one response. Blocks as long as the card takes. Raises `ServiceError`."""
        return self._service.transmit(self._handle, self._protocol, command)
