"""The command line of `menwei demo`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import PydanticCustomError

from menwei.cli import language, use_language
from menwei.settings import seconds
from menwei_simulator.demo import Wishes, demo
from menwei_simulator.story import STORY

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

SCENES = ", ".join(scene.id for scene in STORY)


@app.command(
    "demo",
    help="Play a simulated street: doors, people, alarms. Scenes: "
    + SCENES
    + ". 演示：模拟小区的门、人和报警。",
    context_settings={"ignore_unknown_options": False},
)
def play(
    command: Annotated[
        list[str] | None, typer.Argument(help="After `--`: the command of --before. --before 的命令。")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Play once and end. 只演一遍。")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a scene on standard output. 每幕一行 JSON。")
    ] = False,
    lang: Annotated[str, typer.Option("--lang", help="zh-CN, en. 语言。")] = "",
    passers_by: Annotated[
        bool, typer.Option("--passers-by", help="Without the story. 不演故事，只看路人。")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Keep the site in this empty folder. 保留数据的空目录。")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="The console's port; 0: any. 端口。")
    ] = None,
    before: Annotated[
        str,
        typer.Option(
            "--before", metavar="SCENE", help="Run the command behind `--` before SCENE. 某幕之前运行命令。"
        ),
    ] = "",
    ahead: Annotated[
        str,
        typer.Option(
            "--ahead",
            metavar="SCENE=DURATION",
            help="From SCENE on, the house's clock is so far ahead (1d). 拨快时钟。",
        ),
    ] = "",
) -> None:
    """Exit code 0 when every scene ended as it must and the doors' own log equals the journal, else 1."""
    if bool(before) != bool(command):
        raise typer.BadParameter("--before SCENE -- COMMAND: one needs the other")
    if once and passers_by:
        raise typer.BadParameter("--once plays the story, --passers-by leaves it out")
    if lang:
        use_language(lang)
    wishes = Wishes(
        language=language(),
        once=once,
        as_json=as_json,
        folder=folder,
        passers_by=passers_by,
        port=port,
        before=(_scene(before, "--before"), tuple(command or ())) if before else None,
        ahead=_ahead(ahead) if ahead else None,
    )
    if code := asyncio.run(demo(wishes)):
        raise typer.Exit(code)


def _scene(name: str, option: str) -> str:
    if name not in {scene.id for scene in STORY}:
        raise typer.BadParameter(f"{option}: there is no scene {name!r}; there are: {SCENES}")
    return name


def _ahead(text: str) -> tuple[str, float]:
    scene, _, duration = text.partition("=")
    try:
        return _scene(scene, "--ahead"), seconds(duration)
    except PydanticCustomError as error:
        raise typer.BadParameter(f"--ahead: {error.message_template}") from None
