"""The page of the boards that decide by themselves: whether each holds what it should, and what stands in its way."""

from __future__ import annotations

from typing import Any, Final

from menwei.routes import Answer, Call, Route
from menwei_console import render
from menwei_console.render import Renderer, paged

CLOCK_WRONG: Final = 5.0
"""Seconds: drivers set a clock that is wrong by two, so that this much is a clock that does not let itself be set."""


class BoardPages:
    def __init__(self, renderer: Renderer) -> None:
        self.render = renderer

    async def boards(self, call: Call) -> Answer:
        return await self.render.page(call, "boards.html", "/boards", boards=await _boards(call))

    async def cards(self, call: Call) -> Answer:
        return await self.render.part(call, "boardcards.html", boards=await _boards(call))

    def routes(self) -> list[Route]:
        return [
            paged(self.render, "GET", "/boards", self.boards, render.BOARDS),
            paged(self.render, "GET", "/board-cards", self.cards, render.BOARDS),
        ]


async def _boards(call: Call) -> list[dict[str, Any]]:
    """Each board with what the API says of it; whose cards it still admits only for those who may see people."""
    found = []
    for board in (await call.ask("GET", "/api/boards")).boards:
        admitted = None
        if board.to_take and call.who.role in render.PEOPLE.roles:
            path = {"device": board.device}
            admitted = await call.ask("GET", "/api/boards/{device}/holders", path=path)
        waiting = board.to_give or board.to_take or board.revision != board.newest
        wrong = board.clock_ahead is not None and abs(board.clock_ahead) > CLOCK_WRONG
        shown = {name: getattr(board, name) for name in type(board).model_fields}
        found.append(
            {
                **shown,
                "tone": _tone(board),
                "in_step": not (waiting or board.trouble or _altered(board)),
                "admitted": admitted,
                "clock_wrong": wrong,
            }
        )
    return found


def _tone(board: Any) -> str:
    """The colour of a board's card; its words say the same."""
    if board.to_take or board.trouble:
        return "bad"
    if not board.online:
        return "dark"
    lacks = board.lacks
    kept_off = lacks.overflow or lacks.without_number or lacks.schedules or lacks.hours
    return "warn" if board.to_give or kept_off or _altered(board) or board.filling != "room" else "good"


def _altered(board: Any) -> bool:
    """What somebody else did is still on the board."""
    return board.drift is not None and board.drift.mended is None
