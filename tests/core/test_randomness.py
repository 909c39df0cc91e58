"""Random bytes that are read ahead are still given out once."""

import os

import pytest

from menwei.randomness import AHEAD, Randomness


def test_no_bytes_are_given_out_twice_across_refills():
    random = Randomness()
    taken = [random.take(12) for _ in range(3 * AHEAD // 12)]
    assert {len(one) for one in taken} == {12}
    assert len(set(taken)) == len(taken)


def test_more_than_is_read_ahead_is_refused():
    with pytest.raises(ValueError, match="at once"):
        Randomness().take(AHEAD + 1)


def test_a_forked_process_does_not_repeat_what_its_parent_gives_out():
    random = Randomness()
    random.take(12)
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, random.take(12))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(ours, 12) != random.take(12)
    os.close(ours)
    os.close(theirs)
