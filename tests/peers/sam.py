"""A resident-ID reader with its SAM, in a process of its own: **our own**, written from published descriptions of the
protocol. No real reader has answered to these tests.

    python sam.py PATH

It speaks to the test through its standard input and output: a JSON command a line, a JSON answer a line. It ends when
its standard input closes.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
import time
import tty
from typing import Any

PREAMBLE = bytes.fromhex("AAAAAA9669")
SAM_NUMBER = bytes.fromhex("05030102" + "20131207" + "0012D687" + "7C3E0A11")
PHOTO = bytes((index * 37 + 11) & 0xFF for index in range(1024))
"""Stands for a photo: bytes that must turn up nowhere."""


# ------------------------------------------------------------------------------------------------- the test's side


class Sam:
    """`async with Sam(path) as sam:` — it answers on the line until the end."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Sam:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, self.path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        await self._line()
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            await asyncio.wait_for(process.wait(), 60)

    async def lay(self, text: bytes, **ways: Any) -> None:
        """Lay a document down. `ways`: `leaves` after this command ("2001", "2002", "3001") without an answer to it;
        `fails` {"2002": 0x32}: the status that this command gets."""
        await self._do("lay", text=text.hex(), **ways)

    async def lift(self) -> None:
        await self._do("lift")

    async def mood(self, **mood: Any) -> None:
        """`slow` seconds before each answer, `pieces` bytes at a time, `silent`, `garbage` hex before each answer,
        `spoil` the next n check sums, `status` for everything (0 ends it)."""
        await self._do("mood", mood=mood)

    async def asked(self) -> list[str]:
        """The commands so far, as hex."""
        answer = await self._do("asked")
        return list(answer["asked"])

    async def _do(self, name: str, **values: Any) -> dict[str, Any]:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": name, **values}).encode() + b"\n")
        return await self._line()

    async def _line(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        assert line, "the reader's process has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


def _text(fields: list[tuple[int, int, str]], kind: str = " ") -> bytes:
    """256 bytes: (offset, length, text), the kind's letter at 248."""
    whole = bytearray(" ".encode("utf-16-le") * 128)
    for at, length, text in [*fields, (248, 2, kind)]:
        encoded = text.encode("utf-16-le")
        assert len(encoded) <= length
        whole[at : at + length] = encoded + b" \0" * ((length - len(encoded)) // 2)
    return bytes(whole)


def citizen_number(digits: str) -> str:
    """17 digits with the check character of GB 11643 (ISO 7064 MOD 11-2)."""
    total = sum(
        int(digit) * weight
        for digit, weight in zip(digits, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), strict=True)
    )
    return digits + "10X98765432"[total % 11]


SECRETS = ("19491231", "北京市朝阳区示范路一号", "北京市公安局朝阳分局", "20150102", "20350102")
"""What stands on the card beside name and number: it must turn up nowhere."""


def resident(name: str, number: str) -> bytes:
    birth, address, issuer, begins, ends = SECRETS
    return _text([
        (0, 30, name), (30, 2, "1"), (32, 4, "01"), (36, 16, birth), (52, 70, address), (122, 36, number),
        (158, 30, issuer), (188, 16, begins), (204, 16, ends),
    ])  # fmt: skip


def permit(name: str, number: str) -> bytes:
    birth, address, issuer, begins, ends = SECRETS
    return _text([
        (0, 30, name), (30, 2, "2"), (36, 16, birth), (52, 70, address), (122, 36, number), (158, 30, issuer),
        (188, 16, begins), (204, 16, ends), (220, 18, "H12345678"), (238, 4, "01"),
    ], "J")  # fmt: skip


def foreigner_2023(chinese: str, english: str, rest: str, number: str) -> bytes:
    birth, _, _, begins, ends = SECRETS
    return _text([
        (0, 30, chinese), (30, 2, "2"), (36, 16, birth), (52, 70, english), (122, 36, number), (188, 16, begins),
        (204, 16, ends), (220, 22, rest), (242, 6, "CAN"),
    ], "Y")  # fmt: skip


def foreigner_2017(chinese: str, english: str, number: str) -> bytes:
    birth, _, _, begins, ends = SECRETS
    return _text([
        (0, 120, english), (120, 2, "1"), (122, 30, number), (152, 6, "CAN"), (158, 30, chinese), (188, 16, begins),
        (204, 16, ends), (220, 16, birth),
    ], "I")  # fmt: skip


def response(status: int, data: bytes = b"") -> bytes:
    body = (4 + len(data)).to_bytes(2, "big") + bytes([0, 0, status]) + data
    return PREAMBLE + body + bytes([_xor(body)])


def read_response(text: bytes) -> bytes:
    return response(0x90, (256).to_bytes(2, "big") + (1024).to_bytes(2, "big") + text + PHOTO)


def _xor(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
    return value


# ----------------------------------------------------------------------------------------------- the reader's process


class _Reader:
    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.asked: list[str] = []
        self.card: dict[str, Any] | None = None
        self.found = self.selected = self.read = False
        self.mood: dict[str, Any] = {}

    def do(self, command: dict[str, Any]) -> dict[str, Any]:
        match command.pop("do"):
            case "lay":
                self.card, self.found, self.selected, self.read = command, False, False, False
            case "lift":
                self.card = None
            case "mood":
                self.mood = command["mood"]
            case "asked":
                return {"asked": self.asked}
        return {}

    def answer(self, command: str) -> None:
        self.asked.append(command)
        if self.mood.get("silent"):
            return
        time.sleep(self.mood.get("slow", 0))
        data = response(self.mood["status"]) if self.mood.get("status") else self._respond(command)
        if self.mood.get("spoil"):
            self.mood["spoil"] -= 1
            data = data[:-1] + bytes([data[-1] ^ 0x55])
        data = bytes.fromhex(self.mood.get("garbage", "")) + data
        size = self.mood.get("pieces", len(data)) or 1
        for start in range(0, len(data), size):
            os.write(self.fd, data[start : start + size])

    def _respond(self, command: str) -> bytes:
        if command in ("10FF", "11FF"):
            return response(0x90)
        if command == "12FF":
            return response(0x90, SAM_NUMBER)
        card = self.card
        if card is not None and card.get("leaves") == command:
            self.card = card = None
            return response({"2001": 0x80, "2002": 0x81, "3001": 0x41}[command])
        if card is not None and (status := card.get("fails", {}).get(command)):
            return response(status)
        if command == "2001":
            self.found = card is not None and not self.read
            return response(0x9F, bytes(4)) if self.found else response(0x80)
        if command == "2002":
            self.selected = card is not None and self.found
            return response(0x90, bytes(8)) if self.selected else response(0x81)
        if command == "3001":
            if card is None or not self.selected:
                return response(0x41)
            self.read = True
            return read_response(bytes.fromhex(card["text"]))
        return response(0x21)


def _main(path: str) -> None:
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    reader = _Reader(fd)
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    waiting, heard = b"", b""
    while True:
        ready, _, _ = select.select([fd, 0], [], [])
        if 0 in ready:
            more = os.read(0, 65536)
            if not more:
                return
            waiting += more
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                sys.stdout.write(json.dumps(reader.do(json.loads(line))) + "\n")
                sys.stdout.flush()
        if fd in ready:
            heard += os.read(fd, 1024)
            while (at := heard.find(PREAMBLE)) >= 0 and len(heard) >= at + 7:
                length = int.from_bytes(heard[at + 5 : at + 7], "big")
                if len(heard) < at + 7 + length:
                    break
                body, heard = heard[at + 5 : at + 7 + length], heard[at + 7 + length :]
                if _xor(body):
                    os.write(fd, response(0x10))
                else:
                    reader.answer(body[2:4].hex().upper())


if __name__ == "__main__":
    _main(sys.argv[1])
