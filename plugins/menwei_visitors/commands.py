"""`menwei visitors …`: the same API from the terminal. Each command prints what it made, or with `--json` the answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from menwei.cli import CONFIG, ConfigOption, JsonOption
from menwei.cli_plugin import ask, speaker

BASE = "/api/visitors"

app = typer.Typer(no_args_is_help=True)
group = typer.Typer(no_args_is_help=True, help="Guests and couriers of today. 今日访客与快递。")
app.add_typer(group, name="visitors")

PassNumber = Annotated[int, typer.Argument(help="The pass's number. 访客通行编号。")]
FlatArgument = Annotated[str, typer.Argument(help="The host's flat. 被访房屋。")]
PurposeOption = Annotated[str, typer.Option(help="friend, delivery, repair, help, moving, other. 来访事由。")]
ExternalOption = Annotated[
    str, typer.Option("--external-id", help="The same number is the same pass. 外部编号。")
]


say = speaker("menwei_visitors")


def _line(one: Any) -> str:
    state = say("visitors.ended") if one["ended"] is not None else say("visitors.valid_on", day=one["day"])
    created = datetime.fromtimestamp(one["created"]).astimezone().strftime("%H:%M")
    words = (say(f"visitors.{one['kind']}"), one["flat"] or "–", say(f"visitors.means.{one['means']}"))
    return "  ".join((str(one["id"]), created, *words, state))


def _made(one: Any) -> str:
    return f"{_line(one)}\n{one['code'] or say('visitors.by_card')}"


def _drawn(one: Any) -> str:
    return "\n".join(part for part in (_made(one), _blocks(one["qr"])) if part)


def _blocks(text: str) -> str:
    """The QR code for a dark or light terminal, two modules in one character."""
    if not text:
        return ""
    import io

    try:
        import segno
    except ModuleNotFoundError:
        return say("visitors.no_segno")
    drawn = io.StringIO()
    segno.make_qr(text, error="m").terminal(drawn, compact=True)
    return drawn.getvalue()


@group.command(help="A guest of a flat may pass today; prints their code. 邀请访客。")
def invite(
    flat: FlatArgument,
    purpose: PurposeOption = "friend",
    external_id: ExternalOption = "",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    body = {"flat": flat, "purpose": purpose, "external_id": external_id or None}
    ask(config, lambda it: it.post(f"{BASE}/passes", body), as_json, _made)


@group.command(help="A courier may pass today; prints their code. 快递通行。")
def courier(
    external_id: ExternalOption = "", config: ConfigOption = CONFIG, as_json: JsonOption = False
) -> None:
    ask(config, lambda it: it.post(f"{BASE}/couriers", {"external_id": external_id or None}), as_json, _made)


@group.command(help="A visitor touches their own card; it opens today. 登记访客证件。")
def card(
    reader: Annotated[str, typer.Option(help="DEVICE/READER where it is touched. 读卡器。")],
    flat: Annotated[str, typer.Argument(help="The host's flat; none: a courier. 被访房屋，空为快递。")] = "",
    purpose: PurposeOption = "friend",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    body = {"flat": flat, "purpose": purpose, "reader": reader}
    ask(config, lambda it: it.post(f"{BASE}/cards", body), as_json, _made)


@group.command("list", help="The passes of today. 今日访客。")
def list_passes(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    def lines(found: Any) -> str:
        return "\n".join(_line(one) for one in found["passes"]) or say("visitors.none")

    ask(config, lambda it: it.get(f"{BASE}/passes"), as_json, lines)


@group.command(help="Show a pass again, with its QR code. 显示访客二维码。")
def show(number: PassNumber, config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    ask(config, lambda it: it.get(f"{BASE}/passes/{number}"), as_json, _drawn)


@group.command(help="End a pass: it opens nothing from now on. 结束通行。")
def end(number: PassNumber, config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    ask(config, lambda it: it.post(f"{BASE}/passes/{number}/end"), as_json)


@group.command(help="Whose QR code is this text? 查验二维码。")
def check(
    code: Annotated[str, typer.Argument(help="The text of the QR code. 二维码内容。")],
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    ask(config, lambda it: it.post(f"{BASE}/check", {"code": code}), as_json, _line)


@group.command(help="An account of the role tenant invites for this flat. 设置住户账号的房屋。")
def host(
    account: Annotated[int, typer.Argument(help="The account's number. 账号编号。")],
    flat: Annotated[str, typer.Argument(help="The flat; none: no longer. 房屋，空为取消。")] = "",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    ask(config, lambda it: it.post(f"{BASE}/hosts", {"account": account, "flat": flat}), as_json)
