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
from menwei_simulator.facing import FACE_SCENES
from menwei_simulator.scene import Story
from menwei_simulator.stories import STORIES, story_of

FACED = "street"
"""The story with cameras."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    "demo",
    help=f"Play a simulated site: doors, people, alarms. Stories: {', '.join(STORIES)}. 演示：模拟小区的门、人和报警。",
    context_settings={"ignore_unknown_options": False},
)
def play(
    command: Annotated[
        list[str] | None, typer.Argument(help="After `--`: the command of --before. --before 的命令。")
    ] = None,
    story: Annotated[
        str, typer.Option("--story", help=f"{', '.join(STORIES)}; the street otherwise. 演哪个故事。")
    ] = "street",
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
    faces: Annotated[
        Path | None,
        typer.Option(
            "--faces",
            metavar="DIR",
            help="Photos of your own, a folder for each person. 用您自己的照片演刷脸。",
        ),
    ] = None,
    no_faces: Annotated[
        bool, typer.Option("--no-faces", help="Without cameras and faces. 不演刷脸。")
    ] = False,
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
    if faces is not None and (no_faces or story != FACED):
        raise typer.BadParameter(
            f"--faces: only the story {FACED!r} has faces, and --no-faces leaves them out"
        )
    if story not in STORIES:
        raise typer.BadParameter(f"--story: there is no story {story!r}; there are: {', '.join(STORIES)}")
    if lang:
        use_language(lang)
    played = story_of(story)
    wishes = Wishes(
        language=language(),
        story=played,
        once=once,
        as_json=as_json,
        folder=folder,
        passers_by=passers_by,
        port=port,
        with_faces=story == FACED and not no_faces and not passers_by,
        faces=faces,
        before=(_scene(played, before, "--before"), tuple(command or ())) if before else None,
        ahead=_ahead(played, ahead) if ahead else None,
    )
    if code := asyncio.run(demo(wishes)):
        raise typer.Exit(code)


def _scene(story: Story, name: str, option: str) -> str:
    known = [*([] if story.id != FACED else FACE_SCENES), *(scene.id for scene in story.scenes)]
    if name not in known:
        raise typer.BadParameter(f"{option}: there is no scene {name!r}; there are: {', '.join(known)}")
    return name


def _ahead(story: Story, text: str) -> tuple[str, float]:
    scene, _, duration = text.partition("=")
    try:
        return _scene(story, scene, "--ahead"), seconds(duration)
    except PydanticCustomError as error:
        raise typer.BadParameter(f"--ahead: {error.message_template}") from None
