"""A real pcscd with virtual cards, in namespaces of its own.

The peers are Debian's `pcscd` and `vsmartcard-vpcd`; only the cards are ours, and speak vpcd's protocol (2-byte
big-endian length, then one control byte or an APDU).

`CardTable` starts this file again as a child process in its own mount and network namespaces. There /run is empty, so a
pcscd of the machine is neither seen nor disturbed; the folder of drivers is empty too, so no reader that is really
plugged in is taken away from anybody; and vpcd, which listens on every address, listens only inside. The Unix socket of
this pcscd lies in a temporary folder, for which `PCSCLITE_CSOCK_NAME` must be set before libpcsclite is used for the
first time in a process, because libpcsclite asks only once.

The child takes one JSON command a line and answers each with one line; it ends, and pcscd with it, when its standard
input is closed, so that nothing is left behind even when the tests are killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

VPCD = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
READER_H = Path("/usr/include/PCSC/ifdhandler.h")
PORT = 35963
"""vpcd's own; free, because the network namespace is new. Slot 1 listens on the next one."""

ATR_TYPE_A = "3B8F8001804F0CA000000306030001000000006A"
"""PC/SC Part 3: a memory card, ISO/IEC 14443 A, MIFARE Classic 1K."""
ATR_TYPE_B = "3B88800100000000338191002A"
"""What a reader makes up for ISO/IEC 14443 B: application data, protocol information, MBLI."""


def missing() -> list[str]:
    """The apt packages without which nothing here can run."""
    needs = {
        "pcscd": shutil.which("pcscd", path="/usr/sbin:/usr/bin:/sbin:/bin"),
        "vsmartcard-vpcd": VPCD.exists(),
        "util-linux": shutil.which("unshare"),
        "mount": shutil.which("mount"),
    }
    return [package for package, there in needs.items() if not there]


@dataclass(frozen=True)
class VirtualCard:
    """What a card answers. `answers` maps commands to responses, both hex; anything else is answered `other`."""

    atr: str = ATR_TYPE_A
    answers: dict[str, str] = field(default_factory=dict)
    other: str = "6D00"
    seconds: float = 0.0
    """How long it takes for each APDU."""
    dies: bool = False
    """It leaves when it is asked the first APDU, without an answer."""


def uid_card(uid: str) -> VirtualCard:
    return VirtualCard(answers={"FFCA000000": uid + "9000"})


def resident_card(serial: str) -> VirtualCard:
    """`FF CA` fails, as many readers have it for these cards."""
    return VirtualCard(atr=ATR_TYPE_B, answers={"0036000008": serial + "9000", "FFCA000000": "6A81"})


class CardTable:
    """A pcscd with two slots to lay virtual cards on. Blocking: most commands take milliseconds, `start` and
    `remove` up to half a second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "ipc" / "pcscd.comm"
        self._child: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        (self.folder / "ipc").mkdir()
        (self.folder / "conf").mkdir()
        shutil.copy(VPCD, self.folder / "libifdvpcd.so")
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self._child = subprocess.Popen(
            ["unshare", *user, "--mount", "--net", sys.executable, __file__, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._pipe(self._child.stdout).readline()

    def close(self) -> None:
        if self._child is not None:
            self._pipe(self._child.stdin).close()
            self._child.wait(timeout=20)

    def start(self, *, readers: bool = True) -> None:
        """Starts pcscd, with or without its two readers, and waits until it takes connections."""
        self._do("start", readers=readers)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends pcscd and waits for its end."""
        self._do("kill", number=int(number))

    def signal(self, number: signal.Signals) -> None:
        """Only sends: for SIGSTOP and SIGCONT."""
        self._do("signal", number=int(number))

    def unplug(self) -> None:
        """The readers stop working in the running pcscd; needs `pullable_reader`.

        pcscd learns from the driver that the device is gone, as with a USB reader. Only udev makes it also strike a
        reader from its list, and nothing that speaks to udev can be plugged in here.
        """
        self._do("unplug")

    def plug(self) -> None:
        """The readers work again."""
        self._do("plug")

    def insert(self, card: VirtualCard, slot: int = 0) -> None:
        self._do("insert", slot=slot, card=asdict(card))

    def remove(self, slot: int = 0) -> None:
        self._do("remove", slot=slot)

    def asked(self) -> list[str]:
        """The APDUs that cards were asked since the last call, hex."""
        return list(self._do("asked"))

    def powered(self) -> int:
        """How often cards were powered up since the last call."""
        return int(self._do("powered"))

    def _do(self, verb: str, **values: Any) -> Any:
        if self._child is None:
            raise RuntimeError("the table is not open")
        self._pipe(self._child.stdin).write(json.dumps({"do": verb, **values}).encode() + b"\n")
        self._pipe(self._child.stdin).flush()
        line = self._pipe(self._child.stdout).readline()
        if not line:
            raise RuntimeError(f"the virtual card process ended with {self._child.wait()} at {verb!r}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["ok"]

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        if pipe is None:
            raise RuntimeError("the table is not open")
        return pipe


def card_folder() -> Path:
    """The one folder for tables in this process, made anew: libpcsclite never asks again where pcscd's socket is. Its
    path is short, because a Unix socket's has up to 107 characters. Remove it when the table is closed."""
    folder = Path(tempfile.gettempdir()) / f"pcsc-{os.getpid()}"
    folder.mkdir(mode=0o700)
    return folder


@contextlib.contextmanager
def card_table(folder: Path) -> Iterator[CardTable]:
    table = CardTable(folder)
    table.open()
    try:
        yield table
    finally:
        table.close()


# ------------------------------------------------------------------------------------ the child, inside the namespaces

PULLABLE = Path(__file__).with_name("pullable.c")


def pullable_reader(folder: Path) -> str:
    """Compiles `PULLABLE` into `folder` and has the table use it. Returns what apt package is missing, or ""."""
    if shutil.which("gcc") is None:
        return "gcc"
    if not READER_H.exists():
        return "libpcsclite-dev"
    defines = [f'-DVPCD="{folder / "libifdvpcd.so"}"', f'-DUNPLUGGED="{folder / "unplugged"}"']
    command = [
        "gcc",
        "-shared",
        "-fPIC",
        "-I/usr/include/PCSC",
        *defines,
        "-o",
        str(folder / "pullable.so"),
        str(PULLABLE),
        "-ldl",
    ]
    subprocess.run(command, check=True)
    return ""


class _Slot:
    """One slot: holds the connection to vpcd while a card lies there."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._card: VirtualCard | None = None
        self._task: asyncio.Task[None] | None = None
        self.asked: list[str] = []
        self.powered = 0

    def insert(self, card: VirtualCard) -> None:
        self._task = asyncio.create_task(self._lie(card))

    async def remove(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _lie(self, card: VirtualCard) -> None:
        """Lies there until removed; comes back when pcscd was restarted, as a real card that was left there does."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    if await self._answer(card, reader, writer):
                        return
                finally:
                    writer.transport.abort()
            await asyncio.sleep(0.02)

    async def _answer(
        self, card: VirtualCard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        while True:
            (length,) = struct.unpack(">H", await reader.readexactly(2))
            message = await reader.readexactly(length)
            if message == b"\x04":
                answer = bytes.fromhex(card.atr)
            elif length == 1:
                self.powered += message == b"\x01"
                continue
            else:
                self.asked.append(message.hex().upper())
                if card.dies:
                    return True
                await asyncio.sleep(card.seconds)
                answer = bytes.fromhex(card.answers.get(message.hex().upper(), card.other))
            writer.write(struct.pack(">H", len(answer)) + answer)


class _Inside:
    """The commands of `CardTable`, carried out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._slots = [_Slot(PORT), _Slot(PORT + 1)]
        self._daemon: asyncio.subprocess.Process | None = None

    async def start(self, readers: bool) -> None:
        (self._folder / "unplugged").unlink(missing_ok=True)
        (self._folder / "conf" / "vpcd").unlink(missing_ok=True)
        if readers:
            self._write_config()
        self._daemon = await asyncio.create_subprocess_exec(
            "pcscd", "--foreground", "--config", str(self._folder / "conf"), stdout=(self._folder / "pcscd.log").open("ab"), preexec_fn=_die_with_parent
        )  # fmt: skip
        await _until(lambda: self._takes_connections())

    def _takes_connections(self) -> bool:
        if self._daemon is not None and self._daemon.returncode is not None:
            raise RuntimeError(
                f"pcscd ended with {self._daemon.returncode}, see {self._folder / 'pcscd.log'}"
            )
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex("/run/pcscd/pcscd.comm") == 0

    def _write_config(self) -> None:
        own = self._folder / "pullable.so"
        library = own if own.exists() else self._folder / "libifdvpcd.so"
        lines = [
            'FRIENDLYNAME "Virtual PCD"',
            f"DEVICENAME /dev/null:0x{PORT:X}",
            f"LIBPATH {library}",
            f"CHANNELID 0x{PORT:X}",
        ]
        (self._folder / "conf" / "vpcd").write_text("\n".join(lines) + "\n")

    async def kill(self, number: int) -> None:
        if self._daemon is not None and self._daemon.returncode is None:
            self._daemon.send_signal(number)
            await self._daemon.wait()
        for name in ("pcscd.comm", "pcscd.pid"):  # left there by SIGKILL
            Path("/run/pcscd", name).unlink(missing_ok=True)

    async def signal(self, number: int) -> None:
        if self._daemon is None:
            raise RuntimeError("pcscd does not run")
        self._daemon.send_signal(number)

    async def unplug(self) -> None:
        if not (self._folder / "pullable.so").exists():
            raise RuntimeError("these readers cannot be unplugged")
        (self._folder / "unplugged").touch()

    async def plug(self) -> None:
        (self._folder / "unplugged").unlink(missing_ok=True)

    async def insert(self, slot: int, card: dict[str, Any]) -> None:
        await self.remove(slot)
        self._slots[slot].insert(VirtualCard(**card))

    async def remove(self, slot: int) -> None:
        """Returns when pcscd has noticed: it looks every 0.4 s, and would take a faster swap for one card."""
        await self._slots[slot].remove()
        await _until(lambda: not self._occupied(slot))

    def _occupied(self, slot: int) -> bool:
        if self._daemon is None or self._daemon.returncode is not None:
            return False
        status, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        if status != scard.SCARD_S_SUCCESS:
            return False
        try:
            unknown = [(f"Virtual PCD 00 0{slot}", scard.SCARD_STATE_UNAWARE)]
            status, states = scard.SCardGetStatusChange(context, 0, unknown)
            return status == scard.SCARD_S_SUCCESS and bool(states[0][1] & scard.SCARD_STATE_PRESENT)
        finally:
            scard.SCardReleaseContext(context)

    async def asked(self) -> list[str]:
        found = [apdu for slot in self._slots for apdu in slot.asked]
        for slot in self._slots:
            slot.asked.clear()
        return found

    async def powered(self) -> int:
        count = sum(slot.powered for slot in self._slots)
        for slot in self._slots:
            slot.powered = 0
        return count

    async def serve(self) -> None:
        commands = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
        )
        print("{}", flush=True)
        while line := await commands.readline():
            values = json.loads(line)
            try:
                answer = {"ok": await getattr(self, values.pop("do"))(**values)}
            except (OSError, RuntimeError, TimeoutError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)
        await self.kill(signal.SIGKILL)


async def _until(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("pcscd does not come up")
        await asyncio.sleep(0.02)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _furnish(folder: Path) -> None:
    """An empty /run with only our pcscd in it, no drivers of real readers, and a loopback that is up."""
    for command in (
        ["mount", "-t", "tmpfs", "tmpfs", "/run"],
        ["mkdir", "/run/pcscd"],
        ["mount", "--bind", str(folder / "ipc"), "/run/pcscd"],
        ["mount", "-t", "tmpfs", "tmpfs", "/usr/lib/pcsc/drivers"],
    ):
        subprocess.run(command, check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


if __name__ == "__main__":
    from smartcard import scard

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests; they close our input
    _furnish(Path(sys.argv[1]))
    asyncio.run(_Inside(Path(sys.argv[1])).serve())
