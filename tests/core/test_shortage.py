"""Out of file descriptors: one line a minute, and nothing else is kept quiet."""

import asyncio
import errno
import os
import resource
import socket
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from menwei.shortage import AGAIN, Shortage
from waiting import until

OUT = {"message": "socket.accept() out of system resource", "exception": OSError(errno.EMFILE, "Too many open files")}  # fmt: skip


def test_it_is_told_once_a_minute():
    clock = SimpleNamespace(now=1000.0)
    handler, loop = Shortage(lambda: clock.now), SimpleNamespace()
    with capture_logs() as told:
        for clock.now in (1000.0, 1000.0, 1000.0 + AGAIN - 1):
            handler(loop, OUT)
        assert len(told) == 1
        clock.now = 1000.0 + AGAIN
        handler(loop, OUT)
    assert [line["log_level"] for line in told] == ["error", "error"]


@pytest.mark.parametrize("error", [OSError(errno.ECONNRESET, "gone"), ValueError("a mistake"), None])
def test_everything_else_goes_to_the_loops_own_handler(error):
    passed = []
    Shortage()(SimpleNamespace(default_exception_handler=passed.append), {"message": "?", "exception": error})
    assert [context["exception"] for context in passed] == [error]


async def test_a_server_without_a_descriptor_to_accept_with_says_so_and_goes_on_when_there_is_one():
    loop = asyncio.get_running_loop()
    connected = []
    server = await loop.create_server(
        lambda: SimpleNamespace(connection_made=connected.append, connection_lost=lambda _error: None),
        "127.0.0.1",
        0,
    )
    caller = socket.socket()
    caller.setblocking(False)
    loop.set_exception_handler(Shortage())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)  # the lowest that is free: with it taken, none is below the limit
    with capture_logs() as told:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            with pytest.raises(BlockingIOError):
                caller.connect(server.sockets[0].getsockname())
            await until(lambda: told)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            os.close(free)
        await until(lambda: connected)
    assert len(told) == 1
    loop.set_exception_handler(None)
    caller.close()
    connected[0].close()
    server.close()
    await server.wait_closed()
