"""What is not done in time expires; whatever is done in time is never heard of again."""

import asyncio

from menwei.deadlines import Deadlines
from waiting import until


def waiting():
    return asyncio.get_running_loop().create_future()


async def test_what_is_not_done_in_time_expires_in_the_order_it_was_added():
    expired = []
    deadlines = Deadlines(0.01, expired.append)
    futures = [waiting() for _ in range(3)]
    for number, future in enumerate(futures):
        deadlines.add(future, number)
    await until(lambda: len(expired) == 3)
    assert expired == [0, 1, 2]


async def test_what_is_done_in_time_does_not_expire():
    expired = []
    deadlines = Deadlines(0.01, expired.append)
    done, late = waiting(), waiting()
    deadlines.add(done, "done")
    deadlines.add(late, "late")
    done.set_result(None)
    await until(lambda: expired)
    assert expired == ["late"]


async def test_nothing_expires_before_its_time():
    loop = asyncio.get_running_loop()
    heard = []
    deadlines = Deadlines(0.05, lambda _: heard.append(loop.time()))
    first, second = waiting(), waiting()
    deadlines.add(first, 1)
    await asyncio.sleep(0.02)
    added = loop.time()
    deadlines.add(second, 2)  # the timer was set for the first
    first.set_result(None)
    await until(lambda: heard)
    assert heard[0] >= added + 0.05


async def test_one_that_is_added_while_another_expires_has_its_time_too():
    expired = []

    def expire(subject):
        expired.append(subject)
        if subject < 3:
            deadlines.add(waiting(), subject + 1)

    deadlines = Deadlines(0.005, expire)
    deadlines.add(waiting(), 1)
    await until(lambda: len(expired) == 3)
    assert expired == [1, 2, 3]


async def test_an_expiry_that_fails_does_not_keep_the_next_from_expiring():
    faults, expired = [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))

    def expire(subject):
        if subject == 1:
            raise ValueError("a fault of ours")
        expired.append(subject)

    deadlines = Deadlines(0.005, expire)
    deadlines.add(waiting(), 1)
    deadlines.add(waiting(), 2)
    await until(lambda: expired)
    assert [type(fault) for fault in faults] == [ValueError]


async def test_closing_returns_what_is_still_waited_for():
    expired = []
    deadlines = Deadlines(0.005, expired.append)
    done, open = waiting(), waiting()
    deadlines.add(done, "done")
    deadlines.add(open, "open")
    done.set_result(None)
    assert deadlines.close() == ["open"]
    await asyncio.sleep(0.02)
    assert expired == []
