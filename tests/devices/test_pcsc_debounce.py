"""One touch is one read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from menwei_pcsc.apdu import CardFormat, CardIdentity
from menwei_pcsc.debounce import Debounce

ONE = CardIdentity(CardFormat.UID, "04A1B2C3")
OTHER = CardIdentity(CardFormat.UID, "04D4E5F6")


def test_the_first_touch_is_a_read() -> None:
    assert Debounce(2.0).arrived(ONE, 100.0)


def test_a_card_found_again_within_the_time_is_the_same_touch() -> None:
    debounce = Debounce(2.0)
    debounce.arrived(ONE, 100.0)
    assert not debounce.arrived(ONE, 101.9)


def test_a_card_that_was_away_for_the_time_is_a_new_touch() -> None:
    debounce = Debounce(2.0)
    debounce.arrived(ONE, 100.0)
    assert debounce.arrived(ONE, 102.0)


def test_a_card_that_is_found_every_second_for_an_hour_is_one_touch() -> None:
    debounce = Debounce(2.0)
    assert [second for second in range(3600) if debounce.arrived(ONE, float(second))] == [0]


def test_the_time_counts_from_when_the_card_left_not_from_when_it_came() -> None:
    debounce = Debounce(2.0)
    debounce.arrived(ONE, 100.0)
    debounce.lay(ONE, 160.0)
    assert not debounce.arrived(ONE, 161.0)


def test_another_card_is_another_touch_at_once() -> None:
    debounce = Debounce(2.0)
    debounce.arrived(ONE, 100.0)
    assert debounce.arrived(OTHER, 100.1)


def test_two_cards_in_one_wallet_are_two_touches_however_they_alternate() -> None:
    debounce = Debounce(2.0)
    reads = [
        card for step in range(20) for card in (ONE, OTHER) if debounce.arrived(card, 100.0 + step * 0.5)
    ]
    assert reads == [ONE, OTHER]


@given(st.lists(st.tuples(st.sampled_from([ONE, OTHER]), st.floats(0.0, 5.0)), max_size=50))
def test_two_reads_of_one_card_are_never_closer_than_the_time(
    steps: list[tuple[CardIdentity, float]],
) -> None:
    debounce, now, last = Debounce(2.0), 0.0, dict[CardIdentity, float]()
    for card, pause in steps:
        now += pause
        if debounce.arrived(card, now):
            assert now - last.get(card, -10.0) >= 2.0
            last[card] = now
