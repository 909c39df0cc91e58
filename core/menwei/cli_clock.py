"""`menwei clock`: the word of a person about which clock is right."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from menwei.cli import CONFIG, ConfigOption, JsonOption, _api, existing, out, print_json, run, say

app = typer.Typer(no_args_is_help=True, help="The clock the doors go by · 时钟")


@app.callback()
def group() -> None:
    """With one command alone, typer would take the group for that command."""


@app.command(help="Go by this machine's clock although it is behind · 接受本机时钟")
def accept(
    reason: Annotated[str, typer.Option(help="Why it is right; it is recorded · 理由（会被记录）")],
    config: ConfigOption = CONFIG,
    as_json: JsonOption = False,
) -> None:
    async def ask() -> dict[str, Any]:
        async with _api(existing(config)) as api:
            return dict(await api.post("/api/clock/accept", {"reason": reason}))

    found = run(ask())
    if as_json:
        print_json(found)
        return
    moments = {
        name: datetime.fromisoformat(found[name]).isoformat(" ", "minutes") for name in ("machine", "before")
    }
    out.print(say("cli.clock.accepted", **moments))
