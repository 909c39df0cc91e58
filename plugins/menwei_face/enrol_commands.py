"""`menwei face enrol` and `menwei face withdraw`: the same API from the terminal, for a list and for one person.

Every row of a list is one request: it is written whole, or not at all. A run that was interrupted is begun again and
goes on, because whoever is enrolled already is passed over.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from rich.console import Console
from rich.table import Table

from menwei.cli import CONFIG, ConfigOption, JsonOption, existing, fail, language, out, print_json, run
from menwei.cli_client import SLOW, Api, ApiError, api
from menwei.cli_plugin import speaker
from menwei_face import bulk
from menwei_face.bulk import Fault, ListError, Row
from menwei_face.examining import LARGEST_PHOTO

BASE = "/api/face"
SHOWN = 50
"""Rows that are printed; the rest is counted. --json has all."""


class Result(StrEnum):
    """What became of a row. The value ends the message key `face.list.result.<value>`."""

    ENROLLED = "enrolled"
    WOULD = "would"
    """A dry run: it would be enrolled."""
    ALREADY = "already"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Told:
    """One row of the answer. `photos`: file name and why, of those that cannot be used."""

    row: int
    result: Result
    reason: str = ""
    message: str = ""
    photos: tuple[tuple[str, str], ...] = ()
    left: int = 0
    """Photos that lie in the folder still."""


say = speaker("menwei_face")


def enrol(
    folder: Annotated[Path, typer.Argument(help="Where the photos lie. 照片文件夹。")],
    file: Annotated[Path, typer.Argument(help="CSV: numbers, photos, consents. 名单。")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only. 只检查，不写入、不删除。")] = False,
    keep_photos: Annotated[
        bool, typer.Option("--keep-photos", help="Do not delete the photos of who was enrolled. 保留照片。")
    ] = False,
    account: Annotated[
        str,
        typer.Option(
            "--as", help="A committee account: finds people by their names. 以账号登录，可按姓名查找。"
        ),
    ] = "",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    existing(config)
    for needed, there in ((file, file.is_file()), (folder, folder.is_dir())):
        if not there:
            raise fail(say("face.list.not_there", file=str(needed)))
    try:
        rows = bulk.read(file.read_bytes())
    except ListError as error:
        raise fail(say(error.says, **error.values)) from None
    password = typer.prompt(say("face.list.password"), hide_input=True, err=True) if account else ""
    told = run(_enrol_all(config, folder, rows, dry_run, keep_photos, (account, password)))
    counts = Counter(one.result for one in told)
    if as_json:
        print_json({"rows": [asdict(one) for one in told], **{str(one): counts[one] for one in Result}})
    else:
        _show(told, counts, folder)
    if counts[Result.REJECTED]:
        raise typer.Exit(1)


async def _enrol_all(
    config: Path, folder: Path, rows: Sequence[Row], dry_run: bool, keep: bool, account: tuple[str, str]
) -> list[Told]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True,
    )  # fmt: skip
    told: list[Told] = []
    async with api(config, language()) as service:
        if account[0]:
            await service.sign_in(*account)
        with bar:
            task = bar.add_task(say("face.list.working"), total=len(rows))
            for row in rows:
                try:
                    told.append(await _enrol_one(service, folder, row, dry_run, keep))
                except aiohttp.ClientError as error:
                    raise fail(say("face.list.lost", row=row.number, error=type(error).__name__)) from error
                bar.advance(task)
    return told


async def _enrol_one(service: Api, folder: Path, row: Row, dry_run: bool, keep: bool) -> Told:
    if row.fault is not None:
        return _rejected(row, row.fault)
    try:
        found = await _who(service, row)
    except ApiError as error:
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        return Told(row.number, Result.REJECTED, error.error, str(error))
    if isinstance(found, Fault):
        return _rejected(row, found)
    files = bulk.files_of(folder, row)
    if found["enrolled"] is not None:  # the photos may lie there still, where an earlier run was interrupted
        left = _delete(() if isinstance(files, Fault) or dry_run or keep else files)
        return Told(row.number, Result.ALREADY, left=left)
    if isinstance(files, Fault):
        return _rejected(row, files)
    if any(file.stat().st_size > LARGEST_PHOTO for file in files):
        return _rejected(row, Fault("face.enrol.too_large"))
    answer = await _sent(service, found["holder"], row, files, dry_run)
    if isinstance(answer, Told):
        return answer
    if answer["enrolled"]:
        return Told(row.number, Result.ENROLLED, left=len(files) if keep else _delete(files))
    if dry_run and answer["usable"]:
        return Told(row.number, Result.WOULD, left=len(files))
    photos = tuple((photo["name"], text) for photo in answer["photos"] for text in photo["messages"])
    return Told(row.number, Result.REJECTED, answer["reason"], answer["message"], photos, len(files))


def _rejected(row: Row, fault: Fault) -> Told:
    return Told(row.number, Result.REJECTED, fault.says, say(fault.says, **fault.values))


async def _who(service: Api, row: Row) -> Any:
    """The person of a row: by their number, or by a name that only one person has."""
    if row.external_id:
        return await service.get(f"{BASE}/people", external_id=row.external_id)
    found = (await service.get("/api/people", search=row.name, limit=200))["people"]
    same = [one for one in found if one["name"] == row.name and not one["ended"]]
    if len(same) != 1:
        return Fault("face.list.several" if same else "face.enrol.no_person")
    return await service.get(f"{BASE}/people/{same[0]['id']}")


async def _sent(service: Api, holder: int, row: Row, files: Sequence[Path], dry_run: bool) -> Any:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("consent", json.dumps(dict(row.consent)), content_type="application/json")
    for file in files:
        form.add_field(
            "photo", file.read_bytes(), filename=file.name, content_type="application/octet-stream"
        )
    query = {"dry_run": str(dry_run).lower(), "source": "list"}
    path = f"{service.base}{BASE}/people/{holder}/photos"
    async with service.session.post(
        path, data=form, params=query, headers=service.headers, timeout=SLOW
    ) as response:
        answer = await response.json(content_type=None)
        if response.status == HTTPStatus.SERVICE_UNAVAILABLE:  # no row could be enrolled
            raise fail(str(answer.get("message", response.status)))
        if response.status >= HTTPStatus.BAD_REQUEST:
            return Told(
                row.number, Result.REJECTED, str(answer.get("error", "")), str(answer.get("message", "")), (), len(files)
            )  # fmt: skip
        return answer


def _delete(files: Sequence[Path]) -> int:
    """The photos of somebody who is enrolled are deleted; returns how many could not be."""
    left = 0
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError:
            left += 1  # told in the summary
    return left


def _show(told: Sequence[Told], counts: Counter[Result], folder: Path) -> None:
    table = Table(title=say("face.list.rejected_rows", count=counts[Result.REJECTED]), title_justify="left")
    for column in ("row", "why", "photos"):
        table.add_column(say(f"face.list.column.{column}"))
    rejected = [one for one in told if one.result is Result.REJECTED]
    for one in rejected[:SHOWN]:
        photos = "\n".join(say("face.list.photo", file=file, why=why) for file, why in one.photos)
        table.add_row(str(one.row), one.message, photos)
    if rejected:
        out.print(table)
    if len(rejected) > SHOWN:
        out.print(say("face.list.more", count=len(rejected) - SHOWN), highlight=False)
    for result in Result:
        if counts[result]:
            line = say(f"face.list.result.{result}", count=counts[result])
            out.print(line, markup=False, highlight=False, style="red" if result is Result.REJECTED else "")
    if left := sum(one.left for one in told):
        out.print(
            say("face.list.left", count=left, folder=str(folder)),
            style="yellow",
            markup=False,
            highlight=False,
        )


def withdraw(
    person: Annotated[str, typer.Argument(help="Their number here, or in your list. 人员编号。")],
    external: Annotated[
        bool, typer.Option("--external-id", help="The number is that of your own list. 编号为外部编号。")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. 不再确认。")] = False,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    existing(config)
    if not external and not (person.isascii() and person.isdigit() and len(person) <= 16):
        raise fail(say("face.list.not_a_number", value=person[:40]))
    if not yes:
        typer.confirm(say("face.page.withdraw.sure"), abort=True, err=True)

    async def work() -> Any:
        async with api(config, language()) as service:
            holder = person
            if external:
                holder = (await service.get(f"{BASE}/people", external_id=person))["holder"]
            return await service.post(f"{BASE}/people/{holder}/withdraw")

    answer = run(work())
    if as_json:
        print_json(answer)
    else:
        out.print(receipt(answer), markup=False, highlight=False)
    if answer["done"] is None:
        raise typer.Exit(1)


def receipt(told: Any) -> str:
    """The receipt as a text that can be printed or sent."""

    def moment(at: float | None) -> str:
        if at is None:
            return say("face.receipt.pending")
        return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")

    controllers = ", ".join(told["controllers"]) or say("face.receipt.controllers.none")
    facts = (
        ("face.receipt.number", told["id"]),
        ("face.receipt.person", told["holder"]),
        ("face.receipt.why", say(f"face.ended.{told['why']}")),
        ("face.receipt.asked", moment(told["at"])),
        ("face.receipt.done", moment(told["done"])),
        ("face.receipt.templates", told["templates"]),
        ("face.receipt.key", say("face.receipt.yes" if told["key_destroyed"] else "face.receipt.no")),
        ("face.receipt.controllers", controllers),
    )
    lines = [say("face.receipt.line", what=say(key), value=value) for key, value in facts]
    says = "face.receipt.says" if told["done"] is not None else "face.receipt.says_pending"
    return "\n".join(
        (say("face.receipt.title"), *lines, say(says), say("face.receipt.card"), say("face.receipt.backups"))
    )
