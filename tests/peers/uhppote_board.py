"""The own UHPPOTE board, which the demonstration plays with too: `python uhppote_board.py STATE.json SERIAL ADDRESS PORT`."""

from __future__ import annotations

import asyncio
import sys

from menwei_simulator.uhppote_board import Board, main

__all__ = ["Board", "main"]

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
