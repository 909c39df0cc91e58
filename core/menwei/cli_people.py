"""`menwei people`: add, list, end. Names can be written by the operator and read only with an account's password."""

from __future__ import annotations

import os
from datetime import date, datetime
from typing import Annotated, Any

import typer

from menwei.cli import (
    CONFIG,
    ConfigOption,
    JsonOption,
    _api,
    err,
    existing,
    fail,
    out,
    print_json,
    run,
    say,
    table,
)

app = typer.Typer(no_args_is_help=True, help="People and their cards · 人员与凭证")

PASSWORD = "MENWEI_PASSWORD"  # noqa: S105  # the name of a variable
TOUCH_SECONDS = 30


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise fail(say("cli.people.day", value=text)) from None


@app.command(help="Enter a person, with a card and a PIN · 登记人员")
def add(
    name: Annotated[str, typer.Argument(help="Sealed at once; only an account's password opens it · 姓名")],
    card: Annotated[str, typer.Option(help="FORMAT:VALUE, e.g. uid:04A1B2C3 · 卡号")] = "",
    touch: Annotated[str, typer.Option(help="DEVICE/READER: touch the card there · 在读卡器上刷卡登记")] = "",
    profile: Annotated[
        list[str] | None, typer.Option("--profile", help="Access profile · 通行权限组")
    ] = None,
    first_day: Annotated[str, typer.Option("--from", help="First day, 2026-11-22 · 起始日")] = "",
    last_day: Annotated[str, typer.Option("--to", help="Last day, included · 最后一日（含）")] = "",
    pin: Annotated[bool, typer.Option("--pin", help="Ask for a PIN, or read MENWEI_PIN · 输入密码")] = False,
    external_id: Annotated[str, typer.Option(help="Their number in another list · 外部编号")] = "",
    extended: Annotated[
        bool, typer.Option("--extended", help="Needs longer at doors · 需要更长的开门时间")
    ] = False,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    if card and touch:
        raise fail(say("cli.people.card_or_touch"))
    credential: dict[str, Any] = {"profiles": profile or []}
    credential |= {"first_day": _day(first_day)} if first_day else {}
    credential |= {"last_day": _day(last_day)} if last_day else {}
    if pin:
        credential["pin"] = os.environ.get("MENWEI_PIN") or typer.prompt(
            say("cli.people.pin"), hide_input=True, err=True
        )
    person: dict[str, Any] = {"name": name, "extended": extended, "external_id": external_id or None}
    if card:
        format, _, value = card.rpartition(":")
        person["card"] = {**credential, "format": format or "uid", "value": value}
    if touch:
        person["touch"] = {**credential, "reader": touch, "seconds": TOUCH_SECONDS}

    async def ask() -> dict[str, Any]:
        async with _api(existing(config)) as api:
            if touch:
                err.print(
                    say("cli.people.touch", reader=touch, seconds=TOUCH_SECONDS),
                )
            return dict(await api.post("/api/people", person))

    made = run(ask())
    if as_json:
        print_json(made)
    else:
        out.print(say("cli.people.added", holder=made["id"]))


@app.command("list", help="List people; names only with --as ACCOUNT · 列出人员")
def list_people(
    account: Annotated[
        str, typer.Option("--as", help="Sign in to read names (password asked, or MENWEI_PASSWORD) · 账号")
    ] = "",
    search: Annotated[str, typer.Option(help="A name (with --as), a number · 查找")] = "",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    password = ""
    if account:
        prompt = say("cli.people.password", account=account)
        password = os.environ.get(PASSWORD) or typer.prompt(prompt, hide_input=True, err=True)

    async def ask() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async with _api(existing(config)) as api:
            if account:
                await api.sign_in(account, password)
            after = 0
            while after is not None:
                page = await api.get("/api/people", search=search or None, after=after, limit=200)
                found += page["people"]
                after = page["next"]
        return found

    found = run(ask())
    if as_json:
        print_json(found)
        return
    states = {(True, False): "cli.people.ended_state", (False, True): "cli.people.works"}
    columns = ["cli.column.holder", "cli.column.name", "cli.column.credentials", "cli.column.state"]
    rows = (
        (
            str(person["id"]),
            person["name"] or "–",
            str(person["credentials"]),
            say(states.get((person["ended"], person["enabled"]), "cli.people.no_right")),
        )
        for person in found
    )
    out.print(table(columns, rows))


@app.command(help="One person's credentials · 查看某人的凭证")
def show(
    holder: Annotated[int, typer.Argument(help="The person's id · 人员编号")],
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    async def ask() -> dict[str, Any]:
        async with _api(existing(config)) as api:
            return dict(await api.get(f"/api/people/{holder}"))

    person = run(ask())
    if as_json:
        print_json(person)
        return
    columns = [
        "cli.column.credential",
        "cli.column.state",
        "cli.column.until",
        "cli.column.profiles",
        "cli.column.factors",
    ]
    rows = (
        (
            str(credential["id"]),
            say(f"credential.state.{credential['state']}"),
            _moment(credential["valid_to"]),
            ", ".join(credential["profiles"]),
            ", ".join(credential["factors"]),
        )
        for credential in person["credentials"]
    )
    out.print(table(columns, rows))


def _moment(at: float | None) -> str:
    return "–" if at is None else datetime.fromtimestamp(at).astimezone().isoformat(" ", "minutes")


@app.command(help="Report a credential lost, restore or end it · 挂失、解挂或终止凭证")
def state(
    credential: Annotated[int, typer.Argument(help="Its id (`menwei people show`) · 凭证编号")],
    to: Annotated[str, typer.Argument(help="Lost, Enabled, Disabled, Ended")],
    config: ConfigOption = CONFIG,
) -> None:
    async def ask() -> None:
        async with _api(existing(config)) as api:
            await api.post(f"/api/credentials/{credential}/state", {"state": to})

    run(ask())
    out.print(say("command.done"))


@app.command(help="End all of a person's credentials, on all doors · 终止某人的所有凭证")
def end(
    holder: Annotated[int, typer.Argument(help="The person's id · 人员编号")],
    config: ConfigOption = CONFIG,
) -> None:
    async def ask() -> None:
        async with _api(existing(config)) as api:
            await api.post(f"/api/people/{holder}/end")

    run(ask())
    out.print(say("cli.people.ended", holder=holder))
