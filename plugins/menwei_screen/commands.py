"""`menwei screen …`: door screens from the terminal. The tablet's code is known to the running service only."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from menwei.cli import CONFIG, ConfigOption, JsonOption, fail, language, out, print_json, run
from menwei.cli_client import Api, api
from menwei.messages import Messages

BASE = "/api/screens"

app = typer.Typer(no_args_is_help=True)
group = typer.Typer(no_args_is_help=True, help="Door screens: pair a tablet, see them, revoke. 门口屏幕。")
app.add_typer(group, name="screen")

Where = Annotated[
    str,
    typer.Argument(metavar="ACCESS_POINT", help="The access point, or the screen's device. 通行点或设备。"),
]


@cache
def _messages() -> Messages:
    made = Messages()
    made.add("menwei_screen")
    return made


def say(key: str, **values: object) -> str:
    return _messages().t(language(), key, **values)


def call(config: Path, ask: Callable[[Api], Any], as_json: bool, show: Callable[[Any], str]) -> None:
    """Ask the API and print what it answered."""
    if not config.is_file():
        raise fail(say("cli.no_config", file=str(config)))

    async def work() -> Any:
        async with api(config, language()) as service:
            return await ask(service)

    answer = run(work())
    if as_json:
        print_json(answer)
    else:
        out.print(show(answer), markup=False, highlight=False)


@group.command("list", help="Every screen: its access point, its tablet. 列出屏幕。")
def list_screens(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    call(config, lambda it: it.get(BASE), as_json, _lines)


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
    call(config, lambda it: it.post(f"{BASE}/pair", body), as_json, _paired)


def _paired(answer: Any) -> str:
    return say("screen.paired", screen=answer["screen"])


@group.command(help="The screen's tablet sees nothing any more; it can be paired anew. 撤销平板。")
def revoke(where: Where, config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    def said(answer: Any) -> str:
        return say("screen.revoked", screen=answer["screen"])

    call(config, lambda it: it.post(f"{BASE}/revoke", {"screen": where}), as_json, said)
