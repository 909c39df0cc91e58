"""Writes docs/devices/matrix.md: what each driver can do, read from the drivers' own classes, and what it was run against.

    .venv/bin/python scripts/matrix.py

The abilities are the code's. Against what a driver was run nobody can read from its class: that stands below, and a
test holds it to the drivers that there are and to the files it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from menwei.loader import load
from menwei.manifest import installed
from menwei.model import IdentifierType, Part
from menwei.plugin import Driver

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "devices" / "matrix.md"


class Whose(StrEnum):
    """Who wrote the other side that a driver was run against."""

    FOREIGN = "外部 / foreign"
    OWN = "**自制 / own**"
    MIXED = "自制，用外部库 / own, on a foreign library"


@dataclass(frozen=True, slots=True)
class Tested:
    """What a driver was run against: in words, whose it is, and where the tests have it."""

    peer: str
    whose: Whose
    file: str


@dataclass(frozen=True, slots=True)
class Known:
    """What no class says: how far its wire can be trusted, its page, and its peers. No driver was run on real hardware
    unless a peer says so."""

    assurance: str
    page: str
    tested: tuple[Tested, ...]


KNOWN = {
    "simulator": Known(
        "–（模拟 / simulated）", "../simulator-protocol.md",
        (Tested("模拟控制器，独立进程 / simulated controller, own process", Whose.OWN, "devices/menwei_simulator/device.py"),),
    ),
    "pcsc": Known(
        "低：UID 可复制 / low: a UID is copied", "pcsc.md",
        (Tested("pcscd（真实服务）+ 虚拟读卡器 vpcd / the real pcscd with vpcd's virtual reader", Whose.FOREIGN, "tests/peers/vpcd.py"),),
    ),
    "uhppote": Known(
        "**低**：无认证，韦根 / **low**: no authentication, Wiegand", "uhppote.md",
        (Tested("UDP 控制板，用 uhppoted 的编码 / UDP board on the codec of uhppoted", Whose.MIXED, "tests/peers/uhppote_board.py"),),
    ),
    "osdp": Known(
        "高（线路）：AES-128 加密通道 / high (the wire): Secure Channel", "osdp.md",
        (Tested("libosdp 读卡器端，独立进程，伪终端 / libosdp's peripheral device on a pty", Whose.FOREIGN, "tests/peers/osdp_pd.py"),),
    ),
    "idreader": Known(
        "登记用，不开门 / enrolment, opens nothing", "idreader.md",
        (Tested("按公开资料写的 SAM / a SAM written from public facts", Whose.OWN, "tests/peers/sam.py"),),
    ),
    "camera": Known(
        "看识别方式 / depends on what recognises", "camera.md",
        (
            Tested("GStreamer RTSP 服务器 / GStreamer's RTSP server", Whose.FOREIGN, "tests/peers/rtsp_server.py"),
            Tested("HTTP 摄像头 / HTTP camera", Whose.OWN, "tests/peers/http_camera.py"),
        ),
    ),
    "screen": Known(
        "键盘输入 / a keypad", "../screen.md",
        (Tested("浏览器（chromium）/ a browser (chromium)", Whose.FOREIGN, "tests/e2e/test_screen_browser.py"),),
    ),
}  # fmt: skip
"""By the driver's name. A driver that is not here, or one here that there is not, fails the test."""

PARTS = (Part.CONTACT, Part.EXIT_BUTTON, Part.CALL_BUTTON, Part.FIRE_INPUT)
YES, NO = "✓", "–"


def drivers() -> dict[str, tuple[str, type[Driver]]]:
    """Every driver of this repository: its name → the plugin's, and the class."""
    own = {name: found for name, found in installed().items() if found.package.startswith("menwei_")}
    loaded = load(own, own)
    return {cls.name: (plugin.name, cls) for plugin in loaded.values() for cls in plugin.drivers}


def discovery(plugin: str) -> str:
    """How its devices are found, from the manifest and the registered finders."""
    own = installed()
    manifest = own[plugin].manifest
    ways = ["mDNS"] if manifest is not None and manifest.discovers.zeroconf else []
    ways += [cls.name for cls in load([plugin], own)[plugin].finders]
    return ", ".join(ways) or NO


def page() -> str:
    """The whole page, as it must stand."""
    found = drivers()
    lines = [HEAD, _row("驱动 / driver", *TITLES), _row(*["---"] * (1 + len(TITLES)))]
    for name in sorted(found):
        plugin, cls = found[name]
        lines.append(_row(f"[`{name}`]({KNOWN[name].page})", *_abilities(plugin, cls)))
    lines += [
        MIDDLE,
        _row("驱动 / driver", "等级 / assurance", "对手 / run against", "谁写的 / whose"),
        _row(*["---"] * 4),
    ]
    for name in sorted(found):
        known = KNOWN[name]
        for tested in known.tested:
            peer = f"[{tested.peer}](../../{tested.file})"
            lines.append(_row(f"`{name}`", known.assurance, peer, str(tested.whose)))
    return "\n".join(lines) + "\n" + FOOT


def _abilities(plugin: str, cls: type[Driver]) -> list[str]:
    return [
        ", ".join(sorted(cls.decides)),
        _tick(cls.locks),
        _tick(IdentifierType.CARD in cls.identifiers),
        _tick(IdentifierType.PIN in cls.identifiers),
        *(_tick(part in cls.inputs) for part in PARTS),
        _tick(cls.feedback is not Driver.feedback),
        ", ".join(sorted(cls.card_formats)) or NO,
        discovery(plugin),
    ]


def _tick(yes: bool) -> str:
    return YES if yes else NO


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


TITLES = (
    "谁判断 / decides", "锁 / lock", "刷卡 / cards", "键盘 / keypad", "门磁 / contact", "出门按钮 / exit button",
    "呼叫按钮 / call button", "消防输入 / fire input", "灯声屏 / feedback", "另登记的格式 / card formats", "发现 / discovery",
)  # fmt: skip
HEAD = """\
# 驱动与能力 / Drivers and abilities

由 `scripts/matrix.py` 从驱动的代码生成，不要手改；测试检查本页与代码一致。接在一扇门上能看到什么，决定 `menwei check`
对[门的形式](../configuration.md)说什么，也决定[接线测试](../wiring.md)看什么、问什么。

*Made by `scripts/matrix.py` from the drivers' code; a test holds this page to it. What a driver sees decides what `menwei check` says of a
door's form, and what the wiring test sees and what it asks.*
"""
MIDDLE = """
## 测过什么 / Run against what

**没有一个驱动在真实硬件上跑过。** “自制”是本项目自己写的对手：它只能证明驱动与我们对协议的理解一致。

***No driver has been run on real hardware.** "Own" peers were written by this project: they prove that a driver agrees with our
understanding of the protocol, and no more.*
"""
FOOT = """
UHPPOTE 和一切韦根读卡器是**低等级**：线上是明文，两根线就能抄走和重放卡号。*UHPPOTE and every Wiegand reader are **low assurance**: two
wires copy and replay a card.*
"""

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
