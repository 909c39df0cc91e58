"""OSDP readers in a process of their own: libosdp's peripheral devices on one serial line, the peer of `menwei_osdp`.

    python menwei_simulator/osdp_readers.py PATH '[{"address": 1, "key": "…", "serial": 7}]'

It speaks to whoever started it through its standard input and output: a JSON command a line, a JSON answer a line. It
ends when its standard input closes. Readers without a `key` are in install mode: they know the default key and take
another. `menwei_simulator.wires` is the other side.
"""

from __future__ import annotations

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
