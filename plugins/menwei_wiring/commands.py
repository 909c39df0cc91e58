"""`menwei wiring …`: a test from the terminal, step by step, and its report as a file. The same API as the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from menwei.cli import CONFIG, ConfigOption, JsonOption, existing, fail, language, out, print_json, run
from menwei.cli_client import Api, ApiError, api
from menwei.cli_plugin import speaker
from menwei.config import load
from menwei_wiring.models import NowOut, RunOut, StepOut
from menwei_wiring.report import document, step_name, step_rows
from menwei_wiring.script import Outcome
from menwei_wiring.typed import Typed

BASE = "/api/wiring"
OPEN = frozenset({Outcome.WAITING, Outcome.FAILED})

app = typer.Typer(no_args_is_help=True)
group = typer.Typer(no_args_is_help=True, help="Prove a door's wiring, and keep the report. 接线测试。")
app.add_typer(group, name="wiring")

DoorArgument = Annotated[str, typer.Argument(help="The door's id. 门的编号。")]


say = speaker("menwei_wiring")


def show(text: str, style: str = "") -> None:
    out.print(text, style=style or None, markup=False, highlight=False)


async def _answer(typed: Typed, question: str) -> str:
    out.print(question, end="", markup=False, highlight=False, soft_wrap=True)
    out.file.flush()
    return await typed.line()


@group.command(help="Test a door, step by step. 逐项测试一扇门的接线。")
def test(
    door: DoorArgument,
    by: Annotated[str, typer.Option("--by", help="Who stands at the door. 测试人。")] = "",
    config: ConfigOption = CONFIG,
) -> None:
    existing(config)

    async def work() -> RunOut:
        async with api(config, language()) as service:
            return await _test(service, door, by)

    try:
        ended = run(work())
    except EOFError:
        raise fail(say("wiring.cli.stopped", door=door)) from None
    show(say(f"wiring.report.result.{ended.report.result}"))
    show(say("wiring.cli.report", door=door, number=ended.id))


async def _test(service: Api, door: str, by: str) -> RunOut:
    here, typed = f"{BASE}/doors/{door}", Typed()
    now = NowOut.model_validate(await service.get(here))
    if now.run is None:
        now = NowOut.model_validate(await service.post(f"{here}/begin", {"tester": by}))
    while True:
        under = now.run
        if under is None:
            raise fail(say("wiring.none_under_way"))  # somebody else has ended it
        if now.live is not None:
            now = await _live(service, typed, here, now)
            continue
        step = next((step for step in under.report.steps if step.outcome in OPEN), None)
        choice = "q" if step is None else await _asked(typed, step)
        if step is None or choice == "q":
            return RunOut.model_validate(await service.post(f"{here}/finish"))
        at = f"{here}/steps/{step.key}"
        answer = await (service.post(f"{at}/skip", {"reason": choice}) if choice else service.post(at))
        now = NowOut.model_validate(answer)


async def _asked(typed: Typed, step: StepOut) -> str:
    """Empty: begin it; q: end the test; else why it cannot be tested here."""
    show("")
    show(step_name(step, say), "bold cyan")
    show(say(f"wiring.before.{step.kind}"))
    return await _answer(typed, say("wiring.cli.begin"))


async def _live(service: Api, typed: Typed, here: str, now: NowOut) -> NowOut:
    """What is waited for: shown once, answered where something is asked, else followed until it has changed."""
    assert now.live is not None and now.run is not None
    live, key = now.live, now.live.step
    show("→ " + say(live.prompt, **live.values), "bold")
    if live.choices:
        asked = "  ".join(f"{n} {say(f'wiring.choice.{choice}')}" for n, choice in enumerate(live.choices, 1))
        answer = await _answer(typed, f"{asked} > ")
        if answer.isdigit() and 0 < int(answer) <= len(live.choices):
            try:
                await service.post(f"{here}/answer", {"choice": live.choices[int(answer) - 1]})
            except ApiError as refused:  # its time was up, or the contact told meanwhile
                show(str(refused), "yellow")
    else:
        version = now.version
        while True:
            now = NowOut.model_validate(await service.get(here, after=version))
            if now.live is None or now.live.prompt != live.prompt or now.live.choices:
                break
            version = now.version
    now = NowOut.model_validate(await service.get(here))
    if now.live is None and now.run is not None:
        ended = next(step for step in now.run.report.steps if step.key == key)
        good = ended.outcome is Outcome.PASSED
        show(say(f"wiring.outcome.{ended.outcome}") + (" · " + say(ended.says, **ended.values) if ended.says else ""),
             "green" if good else "red")  # fmt: skip
    return now


@group.command(help="A door's report, the newest or the one of a number. 查看或导出接线测试报告。")
def report(
    door: DoorArgument,
    number: Annotated[int | None, typer.Option("--number", help="Which one. 报告编号。")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write it as one HTML file. 导出为网页文件。")
    ] = None,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    existing(config)

    async def work() -> Any:
        async with api(config, language()) as service:
            known = (await service.get(f"{BASE}/doors/{door}/reports"))["runs"]
            ids = [one["id"] for one in known]
            if not ids or number not in (None, *ids):
                return None
            return await service.get(f"{BASE}/reports/{number or ids[0]}")

    answer = run(work())
    if answer is None:
        raise fail(say("wiring.no_report"))
    if as_json:
        print_json(answer)
        return
    found = RunOut.model_validate(answer)
    settings = load(config).config
    assert settings is not None, "the service answered, so the config is in order"
    zone = ZoneInfo(settings.site.time_zone)
    if html is not None:
        html.write_text(document(found, say, language(), settings.site.name, zone), "utf-8")
        show(say("wiring.cli.written", file=html))
        return
    show(f"{found.report.door_name}: {say(f'wiring.result.{found.report.result}')}", "bold")
    show(say(f"wiring.report.result.{found.report.result}"))
    for row in step_rows(found.report, say, zone):
        show(f"{row.name}: {row.result}" + (f" ({row.by})" if row.by else ""))
        for line in row.lines:
            show(f"    {line.time} {line.text} ({line.by})")
        if row.mend:
            show(f"    {row.mend}")
        if row.why:
            show("    " + say("wiring.why", why=row.why))
