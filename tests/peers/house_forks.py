"""`menwei run`, forked from a process that has imported everything, so that it can be killed two hundred times.

`python house_forks.py CONFIG`: each line on standard input forks one; the pid is printed, and `ended` when it is gone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from menwei import (
    house,  # noqa: F401  # imported once, for every fork
)
from menwei.logs import log_to_stderr
from menwei.serving import Serving, serving
from menwei_simulator import driver  # noqa: F401


async def _run(config: Path) -> None:
    async with serving(config, port=0) as site:
        assert isinstance(site, Serving)
        await asyncio.Event().wait()


def main() -> None:
    config = Path(sys.argv[1])
    for _line in iter(sys.stdin.readline, ""):
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                log_to_stderr()
                asyncio.run(_run(config))
            finally:
                os._exit(70)  # it is only ever killed
        print(pid, flush=True)
        _pid, status = os.waitpid(pid, 0)
        print("ended", -os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
