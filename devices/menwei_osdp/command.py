"""The command line of `menwei osdp`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from menwei.cli import fail, language
from menwei.messages import Messages
from menwei_osdp.pairing import LONGEST, Paired, Waiting, new_key, pair
from menwei_osdp.port import Port
from menwei_osdp.trouble import PortTrouble

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def osdp() -> None:
    """OSDP readers. OSDP 读卡器。"""


@app.command("pair", help="Give a reader in install mode its own key. 为处于安装模式的读卡器设置专用密钥。")
def pair_reader(
    port: Annotated[str, typer.Argument(help="Serial port, such as /dev/ttyUSB0. 串口。")],
    address: Annotated[int, typer.Option(min=0, max=126, help="The reader's address. 读卡器地址。")] = 0,
    baud: Annotated[int, typer.Option(help="9600, 19200, 38400, 57600, 115200. 波特率。")] = 9600,
    name: Annotated[str, typer.Option(help="What doors will call it. 配置中的名称。")] = "in",
    minutes: Annotated[
        float, typer.Option(min=0.1, max=LONGEST / 60, help="How long to try. 最长时间（分钟）。")
    ] = 10.0,
) -> None:
    key = new_key()
    try:
        with Port(port, baud) as wire:
            _say("osdp.pair.begin", address=address, port=port, minutes=f"{minutes:g}")
            paired = pair(wire, address, key, minutes * 60, lambda trouble: _tell(trouble, address))
    except PortTrouble as trouble:
        raise fail(
            _words(f"osdp.repair.{trouble.kind}", **({"port": port, "detail": ""} | trouble.values))
        ) from trouble
    _report(paired, name, address, key)


def _report(paired: Paired, name: str, address: int, key: bytes) -> None:
    if paired.identity is None and not paired.key_sent:
        raise fail(_words("osdp.pair.failed"))
    if paired.identity is None:
        _say("osdp.pair.unsure")
    else:
        _say("osdp.pair.done", identity=paired.identity.text)
    sys.stdout.write(f'readers:\n  {name}: {{address: {address}, key: "{key.hex()}"}}\n')
    if paired.identity is None:
        raise typer.Exit(1)


def _tell(trouble: Waiting, address: int) -> None:
    _say(f"osdp.pair.{trouble}", address=address)


def _say(key: str, **values: object) -> None:
    typer.echo(_words(key, **values), err=True)


def _words(key: str, **values: object) -> str:
    """A sentence of this package's catalogue, which no site has loaded for a command."""
    messages = Messages()
    messages.add("menwei_osdp")
    return messages.t(language(), key, **values)
