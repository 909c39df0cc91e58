"""`menwei discover`, `adopt` and `plugins`: the installer's commands."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.live import Live

from menwei.adoption import doors_from_options
from menwei.announcement import config_id
from menwei.cli import _api, fail, language, out, print_json, say, table
from menwei.config import load
from menwei.discovery import Discovery
from menwei.loader import load as load_plugins
from menwei.loader import plugins_table
from menwei.reports import Discovered
from menwei.settings import Settings


def _settings(config: Path) -> Settings:
    """What the config says; the defaults where there is none yet, or none that is in order (`menwei check` tells)."""
    return (load(config).config if config.is_file() else None) or Settings()


async def look(config: Path, *, as_json: bool, watch: bool, seconds: float) -> None:
    """Look for devices. Works without a config file and beside a running service."""
    settings = _settings(config)
    loaded = load_plugins(settings.plugins)
    finders = [cls for plugin in loaded.values() for cls in plugin.finders]
    discovery = Discovery(settings.discovery.interfaces, finders)
    await discovery.start()
    try:
        if watch and as_json:
            discovery.listen(lambda change, device: print_json({"change": change, **_facts(device)}))
            await asyncio.Event().wait()
        elif watch:
            with Live(_devices(discovery), console=out, auto_refresh=False) as live:
                while True:
                    await asyncio.sleep(0.5)
                    live.update(_devices(discovery), refresh=True)
        else:
            await asyncio.sleep(seconds)
            found = [_facts(device) for device in discovery.devices.values()]
            if as_json:
                print_json(found)
            else:
                out.print(_devices(discovery))
                out.print(say("cli.discover.count", count=len(found)))
            for repair in discovery.repairs():
                out.print("! " + say(repair.message, **repair.values), style="yellow")
    finally:
        await discovery.stop()


def _facts(device: Discovered) -> dict[str, Any]:
    return {
        **asdict(device),
        "config": dict(device.config),
        "properties": dict(device.properties),
        "proposed": config_id(device.id),
    }


def _devices(discovery: Discovery) -> Any:
    columns = [
        "cli.column.id",
        "cli.column.title",
        "cli.column.driver",
        "cli.column.address",
        "cli.column.finder",
    ]
    devices = sorted(discovery.devices.values(), key=lambda device: device.id)
    return table(columns, ((d.id, d.title, d.driver, d.address, d.finder) for d in devices))


async def take_in(
    config: Path,
    device: str,
    id: str,
    doors: list[str],
    points: list[str],
    forms: list[str],
    settings: list[str],
    secret: str,
    as_json: bool,
) -> None:
    """Adopt through the running service, or alone when none runs."""
    made = doors_from_options(doors, points, forms)
    given: dict[str, str] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise fail(say("adopt.option", value=setting, example="--set port=4370"))
        given[key] = value
    if secret:
        given["secret"] = secret
    body = {
        "device": device,
        "id": id or config_id(device),
        "doors": [
            {
                "id": door.id,
                "name": door.name,
                "lock": door.lock,
                "form": door.form,
                "access_points": [{"id": id, "reader": reader} for id, reader in door.access_points.items()],
            }
            for door in made
        ],
        "settings": given,
    }
    async with _api(config, look_for=device) as api:
        answer = await api.post("/api/adopt", body)
    if as_json:
        print_json(answer)
        return
    facts = {"id": answer["id"], "model": answer["model"], "version": answer["version"]}
    out.print(say("cli.adopted", **facts), style="green")
    for door in answer["doors"]:
        out.print(say("cli.adopted.door", door=door))


def list_plugins(config: Path, as_json: bool) -> None:
    """Load what the config names, as the service would, and show what became of it."""
    settings = _settings(config)
    loaded = load_plugins(settings.plugins)
    allow = {name: section.allow for name, section in settings.plugins.items()}
    rows = plugins_table(loaded, allow, language=language())
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = [
        "cli.column.plugin",
        "cli.column.version",
        "cli.column.state",
        "cli.column.permissions",
        "cli.column.error",
    ]
    out.print(
        table(
            columns,
            (
                (
                    row.name,
                    row.version,
                    say(f"plugin.state.{row.state}") if row.state else say("plugin.state.installed"),
                    ", ".join(word if word in row.allowed else f"({word})" for word in row.asked),
                    row.error,
                )
                for row in rows
            ),
        )
    )
