"""`menwei`: the command line. Each command is a few lines over the API or over a module that is tested by itself.

What needs the data goes through the running service's Unix socket (`cli_client.py`). `--json` is for scripts and has
the API's shapes. A plugin's commands are found by its manifest and imported only when used.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import os
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperCommand, TyperGroup

from menwei.messages import LANGUAGES, negotiate, t
from menwei.version import __version__

if TYPE_CHECKING:
    from menwei.manifest import Found
    from menwei.serving import Serving

T = TypeVar("T")

out = Console(markup=False, highlight=False)
err = Console(stderr=True, markup=False, highlight=False)
"""Names and places are printed as they are: brackets in them are no markup."""

REFUSED = 1
"""Exit code: the input or the state of things does not allow it; the reason was printed."""


class Commands(TyperGroup):
    """The core's commands and those that plugins declare in their manifests.

    Typer carries its own copy of click in some versions and the package in others, hence `Any` for click's classes.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *sorted(_declared())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """For the help text: a plugin's command is shown with its plugin's summary and is not imported."""
        command = super().get_command(ctx, cmd_name)
        plugin = _declared().get(cmd_name) if command is None else None
        if plugin is None or plugin.manifest is None:
            return command
        summary = plugin.manifest.summary
        return TyperCommand(cmd_name, help=f"{summary.en} {summary.zh}")

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0] if args else ""
        plugin = _declared().get(name) if super().get_command(ctx, name) is None else None
        if plugin is None:
            return super().resolve_command(ctx, args)
        try:
            return name, _plugin_command(plugin.package, name), args[1:]
        except (Exception, SystemExit) as error:
            raise fail(
                say("plugin.import", plugin=plugin.name, error=f"{type(error).__name__}: {error}")
            ) from error


def _declared() -> dict[str, Found]:
    """Command → the plugin that declares it."""
    from menwei.manifest import installed

    return {
        name: plugin
        for plugin in installed().values()
        if plugin.manifest
        for name in plugin.manifest.commands
    }


def _plugin_command(package: str, name: str) -> Any:
    module = importlib.import_module(package)
    made = typer.main.get_command(module.register_commands())
    return getattr(made, "commands", {}).get(name, made)  # an app with one command is that command


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Menwei 门卫: opens the right doors for the right people · 为对的人开对的门",
)  # fmt: skip

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar="MENWEI_CONFIG", help="The site's config.yaml · 配置文件")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For scripts: JSON · 供脚本使用")]
CONFIG = Path("config.yaml")


class _Settings:
    """What stands before the command: the language of what is printed."""

    language = "en"


def language() -> str:
    return _Settings.language


def use_language(wanted: str) -> None:
    """Speak this language from now on: for a command that has a `--lang` of its own."""
    _Settings.language = negotiate(wanted)


def say(key: str, **values: object) -> str:
    """A sentence for the person at the terminal."""
    return t(language(), key, **values)


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def fail(text: str) -> typer.Exit:
    """Print why and leave with `REFUSED`; to be raised."""
    err.print(text, style="red", soft_wrap=True)  # a place in a file must not be cut in two
    return typer.Exit(REFUSED)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work; what a person can mend is printed as a sentence, without a trace."""
    from menwei.adoption import AdoptionError
    from menwei.cli_client import ApiError
    from menwei.house import ConfigRefused
    from menwei.journal import JournalError
    from menwei.problems import Unusable
    from menwei.web import CannotListen

    try:
        return asyncio.run(work)
    except ConfigRefused as error:
        raise fail("\n".join(problem.text(language()) for problem in error.problems)) from None
    except (AdoptionError, Unusable) as error:
        raise fail(error.text(language())) from None
    except (ApiError, JournalError) as error:
        raise fail(str(error)) from None
    except CannotListen as error:
        key = "cli.port_taken" if error.taken else "cli.cannot_listen"
        raise fail(say(key, host=error.host, port=error.port, why=error.why)) from None
    except OSError as error:
        raise fail(f"{error.strerror or error}: {error.filename}" if error.filename else str(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def tell_password(password: str, console: Console = out) -> None:
    """The first password is shown this once: when the account is made, whatever fails afterwards."""
    console.print(say("cli.first_password", password=password), style="bold")


@app.callback(invoke_without_command=True)
def main_options(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version · 版本")] = False,
    lang: Annotated[
        str, typer.Option("--lang", envvar="MENWEI_LANG", help=f"{', '.join(LANGUAGES)} · 语言")
    ] = "",
) -> None:
    _Settings.language = negotiate(lang or os.environ.get("LC_ALL") or os.environ.get("LANG") or "zh-CN")
    from menwei.logs import log_to_stderr

    log_to_stderr()
    if version:
        out.print(f"menwei {__version__}")
        raise typer.Exit


@app.command("run", help="Serve the site until Ctrl-C · 运行门禁服务")
def run_site(
    config: ConfigOption = CONFIG,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more · 更多日志")] = False,
) -> None:
    from menwei.logs import log_to_stderr
    from menwei.serving import serve

    log_to_stderr(logging.INFO if verbose else logging.WARNING)

    def started(site: Serving) -> None:
        out.print(say("cli.serving", site=site.house.site.name, url=site.server.url))
        for repair in site.house.repairs():
            out.print(
                f"! {site.house.messages.t(language(), repair.message, **repair.values)}",
                style="yellow",
            )

    run(serve(existing(config), started, tell_password))


@app.command(help="Check the configuration and what it names, before anything starts · 检查配置")
def check(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    from menwei.checking import check_all

    found = check_all(existing(config))
    if as_json:
        print_json(
            [
                {
                    "file": p.file,
                    "line": p.line,
                    "column": p.column,
                    "path": p.path,
                    "message": p.text(language()),
                }
                for p in found
            ]
        )
    else:
        for problem in found:
            err.print(problem.text(language()), soft_wrap=True)
        out.print(say("cli.check.problems", count=len(found)) if found else say("cli.check.fine"))
    if found:
        raise typer.Exit(REFUSED)


@app.command(help="Print the JSON schema of config.yaml, for editors · 配置文件的 JSON Schema")
def schema() -> None:
    from menwei.config import json_schema

    print_json(json_schema())


@app.command(help="Look for devices; nothing connects by itself · 查找设备")
def discover(
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C · 持续查找")] = False,
    seconds: Annotated[float, typer.Option(help="How long to look · 查找时间（秒）", min=0.1, max=600)] = 3.0,
) -> None:
    from menwei.cli_devices import look

    run(look(config, as_json=as_json, watch=watch, seconds=seconds))


@app.command(help="Test the connection to a discovered device and take it into the site · 接入设备")
def adopt(
    device: Annotated[str, typer.Argument(help="Its id, as `menwei discover` shows it · 设备编号")],
    id: Annotated[str, typer.Option("--id", help="Its id in this site · 在本站的编号")] = "",
    door: Annotated[
        list[str] | None, typer.Option("--door", help="ID[:LOCK]=NAME, e.g. gate=小区门 · 门")
    ] = None,
    access_point: Annotated[
        list[str] | None, typer.Option("--access-point", help="ID[:DOOR]=READER, e.g. gate-in=in · 通行点")
    ] = None,
    form: Annotated[
        list[str] | None, typer.Option("--form", help="DOOR=FORM, e.g. gate=unit_door · 门的形式")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE for its driver · 驱动参数")
    ] = None,
    secret: Annotated[
        bool, typer.Option("--secret", help="Ask for the device's secret · 输入设备密钥")
    ] = False,
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    from menwei.cli_devices import take_in

    password = typer.prompt(say("cli.secret"), hide_input=True, err=True) if secret else ""
    doors, points, forms = door or [], access_point or [], form or []
    run(take_in(existing(config), device, id, doors, points, forms, setting or [], password, as_json))


@app.command(help="List the plugins: version, state, permissions · 列出插件")
def plugins(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    from menwei.cli_devices import list_plugins

    list_plugins(config, as_json)


@app.command(help="List everything a person could mend · 列出需要处理的问题")
def doctor(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    async def ask() -> list[dict[str, Any]]:
        async with _api(existing(config)) as api:
            if not api.serves:
                err.print(say("cli.doctor.stopped"), style="yellow")
            return list((await api.get("/api/repairs"))["repairs"])

    found = run(ask())
    if as_json:
        print_json(found)
    else:
        colours = {"error": "red", "warning": "yellow"}
        for repair in found:
            out.print(
                f"• {repair['text']}",
                style=colours.get(repair["severity"], ""),
            )
        out.print(say("cli.doctor.count", count=len(found)) if found else say("cli.doctor.fine"))
    if any(repair["severity"] == "error" for repair in found):
        raise typer.Exit(REFUSED)


@app.command(help="Start a plugin project: policy, driver or notifier · 新建插件项目")
def new(
    kind: Annotated[str, typer.Argument(help="policy, driver, notifier")],
    name: Annotated[str, typer.Argument(help="A Python name · 名称")],
    folder: Annotated[Path, typer.Option(help="Where to put it · 目录")] = Path(),
) -> None:
    from menwei.scaffolding import ScaffoldError, create

    try:
        written = create(kind, name, folder)
    except ScaffoldError as error:
        raise fail(say(error.key, **error.values)) from None
    for path in written:
        out.print(str(path))
    root = folder / f"menwei-{name.replace('_', '-')}"
    out.print(say("new.next", folder=str(root)))


@app.command(help="Would this person pass, there and then, and if not, why? 解释能否通行。")
def explain(
    holder: Annotated[int, typer.Option(help="The person's id (`menwei people list`) · 人员编号")],
    access_point: Annotated[str, typer.Option("--access-point", help="e.g. gate-in · 通行点")],
    at: Annotated[str, typer.Option(help="2026-11-22T23:30, the site's time; now when left out · 时间")] = "",
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    async def ask() -> dict[str, Any]:
        body = {"holder": holder, "access_point": access_point} | ({"at": at} if at else {})
        async with _api(existing(config)) as api:
            return dict(await api.post("/api/explain", body))

    found = run(ask())
    if as_json:
        print_json(found)
        return
    granted = found["outcome"] == "AccessGranted"
    head = say(
        "cli.explain.granted" if granted else "cli.explain.denied",
        at=found["at"],
        level=found["level"] or "–",
    )
    out.print(head, style="green" if granted else "red")
    for finding in found["findings"]:
        out.print(
            say("cli.explain.credential", id=finding["credential"], sentence=finding["text"]),
        )
        for check in finding["checks"]:
            detail = f" ({check['detail']})" if check["detail"] else ""
            out.print(
                f"  – {check['reason']} · {check['by']}: {check['text']}{detail}",
            )


def existing(config: Path) -> Path:
    """The config, if it is there; else the command ends with what to do."""
    if not config.is_file():
        raise fail(say("cli.no_config", file=str(config)))
    return config


def _api(config: Path, look_for: str = "") -> contextlib.AbstractAsyncContextManager[Any]:
    from menwei.cli_client import api

    return api(config, language(), look_for)


def table(columns: list[str], rows: Iterator[tuple[str, ...]]) -> Table:
    """A table whose headings are message keys; cells are data and are never read as markup."""
    from rich.text import Text

    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(say(column), overflow="fold")  # never cut: a file's line, a fingerprint
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def add_groups() -> None:
    """Attach the groups of commands; theirs import this module, hence not at the top."""
    from menwei import cli_clock, cli_journal, cli_people

    app.add_typer(cli_people.app, name="people")
    app.add_typer(cli_journal.app, name="journal")
    app.add_typer(cli_clock.app, name="clock")


def main() -> None:
    """The console script."""
    add_groups()
    app()
