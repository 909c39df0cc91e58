"""`menwei tenancy …`: the same API from the terminal, for scripts and whoever runs the machine.

Each command prints one line, or with `--json` what the API answered.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from menwei.cli import CONFIG, ConfigOption, JsonOption, fail
from menwei.cli_client import Api
from menwei.cli_plugin import ask, speaker

BASE = "/api/tenancy"

app = typer.Typer(no_args_is_help=True)
group = typer.Typer(
    no_args_is_help=True, help="Flats, leases, households and their cards. 房屋、租约与住户。"
)
app.add_typer(group, name="tenancy")

Household = Annotated[int, typer.Argument(help="The household's number. 住户编号。")]
Member = Annotated[int, typer.Argument(help="The member's number. 成员编号。")]
Credential = Annotated[int, typer.Argument(help="The credential's number. 凭证编号。")]
LastDay = Annotated[
    str, typer.Option("--to", help="Last day, included, 2026-11-22; none: open. 最后一日（含）。")
]
FirstDay = Annotated[str, typer.Option("--from", help="First day. 起始日。")]
Profiles = Annotated[
    list[str] | None, typer.Option("--profile", help="Access profile of its own doors. 通行权限组。")
]


say = speaker("menwei_tenancy")


def _day(text: str) -> str | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise fail(say("cli.people.day", value=text)) from None


def _moment(at: float | None) -> str:
    return "–" if at is None else datetime.fromtimestamp(at).astimezone().isoformat(" ", "minutes")


def _made(answer: Any) -> str:
    return say("tenancy.cli.made", id=answer["id"])


def _undo(answer: Any) -> str:
    return say("tenancy.cli.ended", until=_moment(answer["undo_until"]))


def _external(text: str) -> str:
    return quote(text, safe="")


@group.command(help="A building exists, with this name. 登记楼栋。")
def building(
    external_id: str,
    name: str,
    profile: Profiles = None,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    body = {"name": name, "profiles": profile or []}
    ask(config, lambda it: it.put(f"{BASE}/buildings/{_external(external_id)}", body), as_json, _made)


@group.command(help="A unit (staircase) of a building exists. 登记单元。")
def unit(
    external_id: str,
    building: str,
    name: str,
    profile: Profiles = None,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    body = {"name": name, "building": building, "profiles": profile or []}
    ask(config, lambda it: it.put(f"{BASE}/units/{_external(external_id)}", body), as_json, _made)


@group.command(help="A flat (room) of a unit exists. 登记房屋。")
def flat(
    external_id: str,
    unit: str,
    name: str,
    profile: Profiles = None,
    landlord: Annotated[str, typer.Option(help="The landlord's external id. 房东编号。")] = "",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    body = {"name": name, "unit": unit, "profiles": profile or [], "landlord": landlord or None}
    ask(config, lambda it: it.put(f"{BASE}/flats/{_external(external_id)}", body), as_json, _made)


@group.command(help="A landlord exists, and signs in with this account. 登记房东。")
def landlord(
    external_id: str,
    account: Annotated[int | None, typer.Option(help="The account's number. 账号编号。")] = None,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    ask(
        config,
        lambda it: it.put(f"{BASE}/landlords/{_external(external_id)}", {"account": account}),
        as_json,
        _made,
    )


@group.command(help="List the flats. 列出房屋。")
def flats(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    async def every(service: Api) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: str | None = ""
        while after is not None:
            page = await service.get(f"{BASE}/flats", after=after)
            found += page["flats"]
            after = page["next"]
        return found

    def show(found: Any) -> str:
        lines = (
            f"{one['id']}  {one['external_id']}  {one['building']} {one['unit']} {one['name']}"
            for one in found
        )
        return "\n".join(lines) or say("tenancy.cli.none")

    ask(config, every, as_json, show)


@group.command("move-in", help="A household has the lease of a flat (its external id). 入住登记。")
def move_in(
    external_id: Annotated[
        str, typer.Argument(help="The household's number in the other system. 外部编号。")
    ],
    flat: Annotated[str, typer.Argument(help="The flat's external id. 房屋编号。")],
    first_day: FirstDay = "",
    last_day: LastDay = "",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    body = {"flat": flat, "first_day": _day(first_day), "last_day": _day(last_day)}
    ask(config, lambda it: it.put(f"{BASE}/synced-households/{_external(external_id)}", body), as_json, _made)


@group.command(help="Show a household, its members and their cards. 查看住户。")
def show(household: Household, config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    def lines(found: Any) -> str:
        text = [
            say(
                "tenancy.cli.household",
                id=found["id"],
                last_day=found["last_day"] or "–",
                state=found["state"],
            )
        ]
        for member in found["members"]:
            role = say(f"tenancy.role.{member['role']}")
            text.append(f"  {member['id']}  {role}  {member['name'] or '–'}  {_moment(member['ends'])}")
            for given in member["passes"]:
                state = say(f"credential.state.{given['state']}")
                text.append(
                    f"    {given['credential']}  {given['kind']}  {state}  {_moment(given['valid_to'])}"
                )
        return "\n".join(text)

    ask(config, lambda it: it.get(f"{BASE}/households/{household}"), as_json, lines)


@group.command("add", help="Somebody belongs to a household. 添加成员。")
def add_member(
    household: Household,
    role: Annotated[str, typer.Argument(help="lessee, co-applicant, cohabitant, carer, guardian")],
    name: Annotated[str, typer.Argument(help="Sealed at once. 姓名（立即加密）。")],
    until: Annotated[str, typer.Option(help="Their own last day. 本人最后一日。")] = "",
    external_id: Annotated[str, typer.Option(help="Their number in another list. 外部编号。")] = "",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    body = {"role": role, "name": name, "until": _day(until), "external_id": external_id or None}
    ask(config, lambda it: it.post(f"{BASE}/households/{household}/members", body), as_json, _made)


@group.command(help="A member passes with this card. 绑定证件或卡。")
def card(
    member: Member,
    number: Annotated[str, typer.Argument(help="FORMAT:VALUE, e.g. uid:04A1B2C3. 卡号。")],
    kind: Annotated[
        str, typer.Option(help="resident-id, residence-permit, citizen-card, key-card. 证件种类。")
    ] = "key-card",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    format, _, value = number.rpartition(":")
    body = {"format": format or "uid", "value": value, "kind": kind}
    ask(config, lambda it: it.post(f"{BASE}/members/{member}/passes", body), as_json, _made)


@group.command(help="Collect a cohabitant (again): consent, and a card touched now. 同住人（重新）采集。")
def collect(
    member: Member,
    reader: Annotated[str, typer.Option(help="DEVICE/READER where the card is touched. 读卡器。")],
    consent: Annotated[str, typer.Option(help="Version of the text they consented to. 同意书版本。")],
    kind: Annotated[str, typer.Option(help="As for `card`. 证件种类。")] = "key-card",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    body = {"reader": reader, "consent": consent, "kind": kind}
    ask(config, lambda it: it.post(f"{BASE}/members/{member}/collect", body), as_json, _made)


@group.command(help="Move the end of a lease; everybody's cards follow. 续期。")
def extend(
    household: Household, last_day: LastDay = "", config: ConfigOption = CONFIG, as_json: JsonOption = False
) -> None:
    body = {"last_day": _day(last_day)}
    ask(config, lambda it: it.post(f"{BASE}/households/{household}/extend", body), as_json)


@group.command("check-out", help="The household leaves: all its cards end now. 退租。")
def check_out(household: Household, config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    ask(config, lambda it: it.post(f"{BASE}/households/{household}/check-out"), as_json, _undo)


@group.command(help="Take a check-out back, within ten minutes. 撤销退租。")
def undo(household: Household, config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    ask(config, lambda it: it.post(f"{BASE}/households/{household}/undo"), as_json)


@group.command(help="One member leaves the household. 成员搬离。")
def leave(member: Member, config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    ask(config, lambda it: it.post(f"{BASE}/members/{member}/leave"), as_json, _undo)


@group.command(help="Report a card lost: it opens nothing from now on. 挂失。")
def lost(credential: Credential, config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    ask(config, lambda it: it.post(f"{BASE}/passes/{credential}/lost"), as_json)


@group.command(help="Restore a card that was reported lost. 解挂。")
def restore(credential: Credential, config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    ask(config, lambda it: it.post(f"{BASE}/passes/{credential}/restore"), as_json)


@group.command(help="Whose right ends within so many days. 即将到期。")
def expiring(
    days: Annotated[int, typer.Option(min=1, max=180)] = 7,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    def show(found: Any) -> str:
        lines = (
            f"{one['member']}  {say('tenancy.role.' + one['role'])}  {_moment(one['ends'])}"
            for one in found["members"]
        )
        return "\n".join(lines) or say("tenancy.cli.none")

    ask(config, lambda it: it.get(f"{BASE}/expiring", days=days), as_json, show)
