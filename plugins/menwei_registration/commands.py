"""`menwei import FILE`: checks the whole file, shows what is wrong by row and column, and enters it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from menwei.cli import CONFIG, ConfigOption, JsonOption, existing, fail, language, out, print_json, run
from menwei.cli_client import SLOW, Api, api
from menwei.cli_plugin import speaker
from menwei_registration.sheet import LONGEST_FILE

PATH = "/api/registration/import"
SHOWN = 50
"""Faults and likely duplicates that are printed; the rest is counted. --json has all."""

app = typer.Typer(no_args_is_help=True)


say = speaker("menwei_tenancy", "menwei_registration")


@app.command("import", help="Rooms and people from xlsx or CSV: checked as a whole, then entered. 批量导入。")
def import_file(
    file: Annotated[Path, typer.Argument(help="xlsx, or CSV in UTF-8 or GB 18030. 表格文件。")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only. 只检查，不写入。")] = False,
    accept_likely: Annotated[
        bool, typer.Option("--accept-duplicates", help="They were looked at. 疑似重复已核对，照样写入。")
    ] = False,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    existing(config)
    if not file.is_file():
        raise fail(say("registration.cli.no_file", file=str(file)))
    if file.stat().st_size > LONGEST_FILE:
        raise fail(say("registration.file.too_large"))
    found, end = run(_send(config, file.read_bytes(), dry_run, accept_likely))
    if as_json:
        print_json({**found, **end, "dry_run": dry_run})
    else:
        _show(found, end, dry_run, accept_likely)
    undecided = bool(found["likely"]) and not accept_likely and not dry_run
    if found["faults"] or "refused" in end or undecided:
        raise typer.Exit(1)


async def _send(
    config: Path, data: bytes, dry_run: bool, accept_likely: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    found: dict[str, Any] = {}
    end: dict[str, Any] = {}
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
    async with api(config, language()) as service:
        with bar:
            task = bar.add_task(say("registration.cli.checking"), total=None)
            query = {"dry_run": str(dry_run).lower(), "accept_likely": str(accept_likely).lower()}
            async with _posted(service, data, query) as answer:
                if answer.status >= 400:
                    told = await answer.json(content_type=None)
                    raise fail(told.get("message", f"HTTP {answer.status}"))
                async for line in _lines(answer):
                    facts = json.loads(line)
                    if "faults" in facts:
                        found = facts
                        bar.update(task, description=say("registration.cli.entering"), total=facts["people"])
                    elif "done" in facts:
                        bar.update(task, completed=facts["done"])
                    else:
                        end = facts
    return found, end


def _posted(service: Api, data: bytes, query: dict[str, str]) -> Any:
    headers = {**service.headers, "Content-Type": "application/octet-stream"}
    return service.session.post(service.base + PATH, data=data, params=query, headers=headers, timeout=SLOW)


async def _lines(answer: aiohttp.ClientResponse) -> Any:
    """Lines of any length: the first may list thousands of faults, and a stream's own reader has a limit."""
    rest = b""
    async for part in answer.content.iter_any():
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest


def _show(found: dict[str, Any], end: dict[str, Any], dry_run: bool, accept_likely: bool) -> None:
    out.print(say("registration.cli.found", rooms=found["rooms"], people=found["people"]), highlight=False)
    if found["new"]:
        some = say("registration.cli.comma").join(found["new"][:SHOWN])
        out.print(
            say("registration.cli.new", count=len(found["new"]), names=some), markup=False, highlight=False
        )
    _list("registration.cli.faults", found["faults"], ("row", "column", "message"))
    _list("registration.cli.likely", found["likely"], ("row", "message"))
    if found["faults"]:
        out.print(say("registration.cli.mend"), style="red", highlight=False)
    elif dry_run:
        out.print(say("registration.cli.dry_run"), highlight=False)
    elif found["likely"] and not accept_likely:
        out.print(say("registration.cli.undecided"), style="yellow", highlight=False)
    elif "entered" in end:
        out.print(say("registration.cli.entered", **end["entered"]), style="green", highlight=False)
    else:
        out.print(
            end.get("refused", {}).get("message", say("registration.cli.broken")), style="red", markup=False
        )


def _list(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if not rows:
        return
    table = Table(title=say(title, count=len(rows)), title_justify="left")
    for column in columns:
        table.add_column(say(f"registration.cli.{column}"))
    for row in rows[:SHOWN]:
        table.add_row(*(str(row[column] or "") for column in columns))
    out.print(table)
    if len(rows) > SHOWN:
        out.print(say("registration.cli.more", count=len(rows) - SHOWN), highlight=False)
