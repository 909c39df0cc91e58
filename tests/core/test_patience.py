"""Foreign code is waited for no longer than its time, and every ending of it is told."""

import asyncio

import pytest

from menwei.patience import Patience, within


async def told(call, budget=5.0):
    """What `beside` tells of this call."""
    heard = asyncio.get_running_loop().create_future()
    task = Patience(budget).beside(call, heard.set_result)
    try:
        async with asyncio.timeout(60):
            return await heard
    finally:
        task.cancel()


async def raises(error):
    raise error


async def test_what_a_call_beside_raises_is_told():
    assert isinstance(await told(lambda: raises(ValueError("x"))), ValueError)


async def test_a_call_beside_that_leaves_the_program_does_not_end_it():
    assert "SystemExit" in str(await told(lambda: raises(SystemExit(1))))


async def test_a_method_beside_that_is_not_async_is_told():
    assert isinstance(await told(lambda: 7), TypeError)


async def test_a_call_beside_that_hangs_is_told_once_and_cancelled():
    heard = []
    task = Patience(0.02).beside(lambda: asyncio.Event().wait(), heard.append)
    await asyncio.wait({task}, timeout=60)
    assert task.done()
    await asyncio.sleep(0)
    assert [type(error) for error in heard] == [TimeoutError]


async def test_nothing_is_told_of_a_call_beside_that_ends_well():
    heard = []
    await Patience(5.0).beside(lambda: asyncio.sleep(0), heard.append)
    await asyncio.sleep(0)
    assert heard == []


async def test_a_call_that_swallows_its_cancellation_is_waited_for_no_longer_than_its_time():
    released = asyncio.Event()

    async def stubborn():
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    with pytest.raises(TimeoutError):
        await within(0.02, stubborn)
    released.set()  # it is left behind, and must be able to end
    await asyncio.sleep(0)


async def test_closing_ends_what_runs_beside_and_tells_nobody():
    heard = []
    patience = Patience(5.0)
    task = patience.beside(lambda: asyncio.Event().wait(), heard.append)
    await asyncio.sleep(0)
    patience.close()
    await asyncio.wait({task}, timeout=60)
    assert task.done()
    assert heard == []


async def test_a_call_that_raises_stop_iteration_fails_like_any_other():
    def stop():
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await within(5.0, stop)


async def test_who_waits_no_longer_leaves_the_call_cancelled():
    cancelled = asyncio.Event()

    async def hang():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    waiting = asyncio.create_task(within(5.0, hang))
    await asyncio.sleep(0.01)
    waiting.cancel()
    async with asyncio.timeout(60):
        await cancelled.wait()


async def test_calls_with_one_patience_do_not_take_each_others_time():
    patience = Patience(1.0)
    slow = asyncio.create_task(patience.within(lambda: asyncio.Event().wait()))
    await asyncio.sleep(0.8)
    done, _ = await patience.within(lambda: asyncio.wait({slow}))  # as long as the first has
    assert done == {slow}
    with pytest.raises(TimeoutError):
        await slow
