"""`menwei screen …`: door screens from the terminal. The tablet's code is known to the running service only."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from menwei.cli import CONFIG, ConfigOption, JsonOption
from menwei.cli_plugin import ask, speaker

BASE = "/api/screens"

app = typer.Typer(no_args_is_help=True)
group = typer.Typer(no_args_is_help=True, help="Door screens: pair a tablet, see them, revoke. 门口屏幕。")
app.add_typer(group, name="screen")

Where = Annotated[
    str,
    typer.Argument(metavar="ACCESS_POINT", help="The access point, or the screen's device. 通行点或设备。"),
]


say = speaker("menwei_screen")


@group.command("list", help="Every screen: its access point, its tablet. 列出屏幕。")
def list_screens(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    ask(config, lambda it: it.get(BASE), as_json, _lines)


def _lines(found: Any) -> str:
    return "\n".join(_line(one) for one in found["screens"]) or say("screen.none")


def _line(one: Any) -> str:
    tablet = "connected" if one["connected"] else "away" if one["paired"] else "unpaired"
    place = one["place"] or say("screen.nowhere")
    return "  ".join((one["id"], one["access_point"] or "–", place, say(f"screen.tablet.{tablet}")))


@group.command(help="The tablet that shows CODE becomes the screen of this access point. 配对平板。")
def pair(
    where: Where,
    code: Annotated[str, typer.Argument(help="The six digits on the tablet. 平板上的六位配对码。")],
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    body = {"screen": where, "code": code}
    ask(config, lambda it: it.post(f"{BASE}/pair", body), as_json, _paired)


def _paired(answer: Any) -> str:
    return say("screen.paired", screen=answer["screen"])


@group.command(help="The screen's tablet sees nothing any more; it can be paired anew. 撤销平板。")
def revoke(where: Where, config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    def said(answer: Any) -> str:
        return say("screen.revoked", screen=answer["screen"])

    ask(config, lambda it: it.post(f"{BASE}/revoke", {"screen": where}), as_json, said)
