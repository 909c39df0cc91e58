"""What the commands of plugins share: their sentences in the chosen language, and one question to the running service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from menwei.cli import existing, language, out, print_json, run, say
from menwei.cli_client import Api, api
from menwei.messages import Messages


def speaker(*packages: str) -> Callable[..., str]:
    """`say(key, **values)` for a plugin's commands: with the sentences of these packages beside the core's. They are read
    at the first sentence."""

    @cache
    def messages() -> Messages:
        made = Messages()
        for package in packages:
            made.add(package)
        return made

    def speak(key: str, **values: object) -> str:
        return messages().t(language(), key, **values)

    return speak


def ask(
    config: Path,
    question: Callable[[Api], Awaitable[Any]],
    as_json: bool,
    show: Callable[[Any], str] | None = None,
) -> None:
    """Ask the API of the service that this config starts, or one that runs for this command alone, and print what it
    answered: as it is for programs, as `show` says it for people (that it is done, without one)."""

    async def work() -> Any:
        async with api(existing(config), language()) as service:
            return await question(service)

    answer = run(work())
    if as_json:
        print_json(answer)
    else:
        out.print(show(answer) if show is not None else say("command.done"))


__all__ = ["ask", "speaker"]
