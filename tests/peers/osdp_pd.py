"""OSDP readers in a process of their own: libosdp's peripheral devices on one serial line, the peer of `menwei_osdp`.

    python osdp_pd.py PATH '[{"address": 1, "key": "…", "serial": 7}]'

It speaks to the test through its standard input and output: a JSON command a line, a JSON answer a line. It ends when
its standard input closes. Readers without a `key` are in install mode: they know the default key and take another.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
import time
import tty
from pathlib import Path
from typing import Any

COMMANDS = {
    "output": "CMD_OUTPUT",
    "buzzer": "CMD_BUZZER",
    "led": "CMD_LED",
    "text": "CMD_TEXT",
    "keyset": "CMD_KEYSET",
}


# ------------------------------------------------------------------------------------------------- the test's side


class Readers:
    """`async with Readers(path, [reader(1, key), …]) as readers:` — they answer on the line until the end."""

    def __init__(self, path: str, readers: list[dict[str, Any]]) -> None:
        self.path = path
        self.readers = readers
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Readers:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, self.path, json.dumps(self.readers),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await self._line()
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            await asyncio.wait_for(process.wait(), 10)

    async def card(self, address: int, bits: int, number: int, *, format: int = 1) -> None:
        """A card is presented: `number` as `bits` bits."""
        await self._do("card", address, bits=bits, number=f"{number:X}", format=format)

    async def keys(self, address: int, keys: bytes) -> None:
        await self._do("keys", address, keys=keys.hex())

    async def tamper(self, address: int, active: bool) -> None:
        await self._do("tamper", address, active=active)

    async def silent(self, address: int, active: bool) -> None:
        """It hears nothing: unplugged, as seen from the panel."""
        await self._do("silent", address, active=active)

    async def restart(self, address: int, **changes: Any) -> None:
        """Power off and on, with another `key` perhaps (None: install mode)."""
        await self._do("restart", address, changes=changes)

    async def commands(self, address: int) -> list[dict[str, Any]]:
        """What the panel told this reader, in order: `{"kind": "led", "at": …, …}`."""
        answer = await self._do("commands", address)
        return list(answer["commands"])

    async def told(
        self, address: int, kind: str, seconds: float = 10.0, count: int = 1
    ) -> list[dict[str, Any]]:
        """The commands of this kind, as soon as there are `count`."""
        end = time.monotonic() + seconds
        while True:
            found = [command for command in await self.commands(address) if command["kind"] == kind]
            if len(found) >= count:
                return found
            assert time.monotonic() < end, f"{len(found)} of {count} {kind} commands within {seconds} s"
            await asyncio.sleep(0.02)

    async def key(self, address: int) -> str | None:
        """The key it has now."""
        answer = await self._do("key", address)
        return answer["key"]

    async def _do(self, name: str, address: int, **values: Any) -> dict[str, Any]:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": name, "address": address, **values}).encode() + b"\n")
        return await self._line()

    async def _line(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 10)
        assert line, "the readers' process has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


def reader(address: int, key: str | None, **more: Any) -> dict[str, Any]:
    return {"address": address, "key": key, **more}


def wiegand26(facility: int, number: int) -> int:
    card = facility << 16 | number
    first, second = card >> 12, card & 0xFFF
    return (first.bit_count() & 1) << 25 | card << 1 | (1 - (second.bit_count() & 1))


def wiegand34(card: int) -> int:
    first, second = card >> 16, card & 0xFFFF
    return (first.bit_count() & 1) << 33 | card << 1 | (1 - (second.bit_count() & 1))


# ---------------------------------------------------------------------------------------------- the readers' process


class _Line:
    """One reader's end of the shared line: it hears everything, and everybody hears it."""

    id = 1

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.heard = b""

    def read(self, size: int) -> bytes:
        taken, self.heard = self.heard[:size], self.heard[size:]
        return taken

    def write(self, data: bytes) -> int:
        return os.write(self._fd, data)

    def flush(self) -> None:
        self.heard = b""


class _Reader:
    def __init__(self, fd: int, plan: dict[str, Any]) -> None:
        self.fd = fd
        self.plan = {
            "serial": 1,
            "outputs": 2,
            "led": True,
            "buzzer": True,
            "text": True,
            "secure": True,
            **plan,
        }
        self.commands: list[dict[str, Any]] = []
        self.tampered = False
        self.silent = False
        self.key: str | None = self.plan["key"]
        self.begin()

    def begin(self) -> None:
        import osdp_sys

        self.line = _Line(self.fd)
        plan = self.plan
        install = self.key is None
        flags = osdp_sys.FLAG_INSTALL_MODE if install else osdp_sys.FLAG_ENFORCE_SECURE
        if plan["secure"] is False:
            flags = 0
        info = {
            "name": f"PD-{plan['address']}", "address": plan["address"], "flags": flags,
            "scbk": None if install else bytes.fromhex(self.key or ""), "channel": self.line,
            "version": 1, "model": 2, "vendor_code": 0xABCDEF, "serial_number": plan["serial"], "firmware_version": 0x010203,
        }  # fmt: skip
        has = {
            osdp_sys.CAP_OUTPUT_CONTROL: plan["outputs"], osdp_sys.CAP_READER_LED_CONTROL: int(plan["led"]),
            osdp_sys.CAP_READER_AUDIBLE_OUTPUT: int(plan["buzzer"]), osdp_sys.CAP_READER_TEXT_OUTPUT: int(plan["text"]),
            osdp_sys.CAP_CARD_DATA_FORMAT: 1,
        }  # fmt: skip
        capabilities = [
            {"function_code": code, "compliance_level": 1, "num_items": count}
            for code, count in has.items()
            if count
        ]
        self.device = osdp_sys.PeripheralDevice(info, capabilities=capabilities)
        self.device.set_command_callback(self._told)

    def _told(self, command: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        import osdp_sys

        if command["command"] == osdp_sys.CMD_STATUS:
            return 0, None if command["type"] != osdp_sys.STATUS_REPORT_LOCAL else dict(command)
        kinds = {getattr(osdp_sys, name): kind for kind, name in COMMANDS.items()}
        kind = kinds.get(command["command"], "other")
        if kind == "keyset":
            self.key = command["data"].hex()
        shown = {name: value for name, value in command.items() if not isinstance(value, bytes)}
        self.commands.append({"kind": kind, "at": time.monotonic(), **shown})
        return 0, None

    def do(self, command: dict[str, Any]) -> dict[str, Any]:
        import osdp_sys

        match command["do"]:
            case "card":
                bits = command["bits"]
                number = int(command["number"], 16) << (-bits % 8)
                data = number.to_bytes((bits + 7) // 8, "big")
                self.device.submit_event(
                    {"event": osdp_sys.EVENT_CARDREAD, "reader_no": 0, "format": command["format"], "direction": 0, "length": bits, "data": data}
                )  # fmt: skip
            case "keys":
                self.device.submit_event(
                    {"event": osdp_sys.EVENT_KEYPRESS, "reader_no": 0, "data": bytes.fromhex(command["keys"])}
                )
            case "tamper":
                self.tampered = command["active"]
                self.device.submit_event(
                    {
                        "event": osdp_sys.EVENT_STATUS,
                        "type": osdp_sys.STATUS_REPORT_LOCAL,
                        "report": bytes([self.tampered, 0]),
                    }
                )
            case "silent":
                self.silent = command["active"]
            case "restart":
                self.plan |= command["changes"]
                self.key = self.plan["key"]
                self.begin()
            case "commands":
                return {"commands": self.commands}
            case "key":
                return {"key": self.key}
        return {}


def _main(path: str, plans: list[dict[str, Any]]) -> None:
    import osdp_sys

    osdp_sys.set_loglevel(osdp_sys.LOG_EMERG)
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    readers = {plan["address"]: _Reader(fd, plan) for plan in plans}
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    waiting = b""
    while True:
        ready, _, _ = select.select([fd, 0], [], [], 0.005)
        if fd in ready:
            data = os.read(fd, 1024)
            for one in readers.values():
                if not one.silent:
                    one.line.heard += data
        for one in readers.values():
            if not one.silent:
                one.device.refresh()
        if 0 in ready:
            more = os.read(0, 65536)
            if not more:
                return
            waiting += more
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                command = json.loads(line)
                sys.stdout.write(json.dumps(readers[command["address"]].do(command)) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    assert Path(sys.argv[1]).exists()
    _main(sys.argv[1], json.loads(sys.argv[2]))
