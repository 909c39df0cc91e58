"""`menwei journal`: verify the chain, show by door (by person only with a reason), export."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from menwei.cli import (
    CONFIG,
    REFUSED,
    ConfigOption,
    JsonOption,
    _api,
    existing,
    fail,
    out,
    print_json,
    run,
    say,
)

app = typer.Typer(no_args_is_help=True, help="The journal: verify, show, export · 通行记录与审计")

ReasonOption = Annotated[str, typer.Option(help="Why; it is recorded with the question · 理由（会被记录）")]


@app.command(help="Check the whole chain · 校验记录是否完整")
def verify(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    async def ask() -> dict[str, Any]:
        async with _api(existing(config)) as api:
            return dict(await api.post("/api/journal/verify"))

    found = run(ask())
    if as_json:
        print_json(found)
    else:
        detail = "" if found["ok"] else f" {found['detail']}"
        out.print(found["message"] + detail, style="green" if found["ok"] else "red")
    if not found["ok"]:
        raise typer.Exit(REFUSED)


@app.command(help="Entries of a door, newest first; of a person only with --reason · 查看记录")
def show(
    door: Annotated[str, typer.Option(help="The door's id · 门")] = "",
    holder: Annotated[int, typer.Option(help="A person's id; needs --reason · 人员编号")] = 0,
    reason: ReasonOption = "",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    if bool(door) == bool(holder):
        raise fail(say("cli.journal.door_or_holder"))
    if holder and not reason.strip():
        raise fail(say("cli.journal.reason"))

    async def ask() -> list[dict[str, Any]]:
        async with _api(existing(config)) as api:
            if holder:
                answer = await api.post(
                    "/api/journal/holder", {"holder": holder, "reason": reason, "limit": limit}
                )
            else:
                answer = await api.get(f"/api/doors/{door}/journal", limit=limit)
            return list(answer["entries"])

    entries = run(ask())
    if as_json:
        for entry in entries:
            print_json(entry)
        return
    for entry in entries:
        out.print(
            f"{entry['position']:>16}  {_moment(entry)}  {entry.get('text', entry['kind'])}",
        )


def _new(to: Path | None) -> BinaryIO:
    """A file that only its owner may read: with `--who` it says who was where. Raises `FileExistsError`."""
    assert to is not None
    return os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _moment(entry: Mapping[str, Any]) -> str:
    """When it was, to the second, in the site's time and with its distance from UTC."""
    return datetime.fromisoformat(entry["time"]).isoformat(" ", "seconds")


@app.command(help="Write entries as JSON lines, oldest first · 导出记录")
def export(
    reason: ReasonOption,
    to: Annotated[Path | None, typer.Option(help="A file; else standard output · 文件")] = None,
    door: Annotated[list[str] | None, typer.Option(help="Only these doors · 仅这些门")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this moment on · 起")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this moment · 止")] = None,
    who: Annotated[bool, typer.Option("--who", help="With the personal parts · 含个人信息")] = False,
    config: ConfigOption = CONFIG,
) -> None:
    body: dict[str, Any] = {"reason": reason, "who": who, "doors": door or None}
    body |= {
        key: moment.astimezone().isoformat() for key, moment in (("since", since), ("until", until)) if moment
    }

    async def write() -> int:
        count, file = 0, None if to else sys.stdout.buffer
        async with _api(existing(config)) as api:
            try:
                async for line in api.lines("/api/journal/export", body):
                    file = file or _new(to)  # not before: a refusal leaves no empty file
                    file.write(line)
                    count += 1
                (file or _new(to)).flush()
            finally:
                if to and file is not None:
                    file.close()
        return count

    count = run(write())
    if to:
        out.print(say("cli.journal.exported", count=count, file=str(to)))
