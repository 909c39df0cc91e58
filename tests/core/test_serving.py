"""A program that serves does not look through the rights for garbage while people stand at its doors."""

import gc

import pytest

from menwei.serving import GARBAGE, settle


@pytest.fixture
def collector():
    thresholds, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    (gc.enable if enabled else gc.disable)()


def test_what_was_made_before_it_serves_is_not_looked_through_again(collector):
    kept = {"made": "before"}
    kept["self"] = kept
    gc.disable()
    settle()
    assert gc.isenabled()
    assert gc.get_threshold() == GARBAGE
    assert not any(thing is kept for thing in gc.get_objects())
