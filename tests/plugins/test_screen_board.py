"""What one screen shows, and which tablets wait to be paired: without a clock, a wire or a browser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei.messages import LANGUAGES, Catalogue, Messages, placeholders
from menwei.model import Feedback, FeedbackKind
from menwei_screen.board import LONGEST, OFFER, READING, TYPED, TYPED_WITHIN, Board
from menwei_screen.lines import Line
from menwei_screen.pairing import LIFETIME, MOST, MOST_EACH, Pairings, TooMany
from menwei_screen.words import UI, page_words, result, sentence

GRANTED = Feedback(FeedbackKind.GRANTED, "请进 · 门已打开", 3.0, "door.granted")
DENIED = Feedback(FeedbackKind.DENIED, "未注册信息 · …", 3.0, "door.not_registered")
PIN = Feedback(FeedbackKind.WAITING, "请输入密码", 10.0, "door.pending.pin")
NOTICE = Line("screen.none")


@pytest.fixture(scope="module")
def messages() -> Messages:
    made = Messages(strict=True)
    made.add("menwei_screen")
    return made


# ------------------------------------------------------------------------------------------------------------- results


def test_a_result_vanishes_after_its_seconds_and_is_not_kept():
    board = Board()
    board.feedback(PIN, 100.0)
    assert board.shown(109.9).key == "door.pending.pin"
    assert board.shown(110.0) is None
    assert board.shown(105.0) is None, "what is over does not come back with a clock"


def test_a_refusal_stays_long_enough_to_be_read_and_heard():
    board = Board()
    board.feedback(DENIED, 100.0)
    assert board.shown(100.0 + READING[FeedbackKind.DENIED] - 0.1) is not None
    assert board.shown(100.0 + READING[FeedbackKind.DENIED]) is None


def test_the_next_result_takes_the_place_of_the_one_before():
    board = Board()
    board.feedback(DENIED, 100.0)
    board.feedback(GRANTED, 101.0)
    assert board.shown(101.0).kind is FeedbackKind.GRANTED


@given(st.floats(allow_nan=False))
def test_no_result_stays_for_ever(seconds):
    board = Board()
    board.feedback(Feedback(FeedbackKind.WAITING, "", seconds), 0.0)
    assert board.shown(LONGEST) is None


def test_a_prompt_covers_what_is_awaited_only_for_its_seconds():
    board = Board()
    board.feedback(PIN, 100.0)
    board.feedback(Feedback(FeedbackKind.WAITING, "请向左转头", 3.0, "face.ask.left"), 101.0)
    board.feedback(Feedback(FeedbackKind.WAITING, "请看前方", 3.0, "face.ask.front"), 102.0)
    assert board.shown(104.9).key == "face.ask.front"
    assert board.shown(104.9).wants_digits, "the keypad stays open"
    assert board.shown(105.0).key == "door.pending.pin"
    assert board.shown(110.0) is None


@pytest.mark.parametrize("end", [GRANTED, DENIED])
def test_after_the_end_of_a_request_nothing_of_it_is_awaited(end):
    board = Board()
    board.feedback(Feedback(FeedbackKind.WAITING, "…", 60.0, "door.pending.pin"), 100.0)
    board.feedback(end, 101.0)
    assert not board.shown(101.0).wants_digits
    assert board.shown(120.0) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(list(FeedbackKind)), st.floats(0, 70), st.floats(0, 5)),
        max_size=30,
    )
)
def test_whatever_comes_what_is_shown_has_not_ended(steps):
    board, now = Board(), 0.0
    for kind, seconds, later in steps:
        board.feedback(Feedback(kind, "", seconds), now)
        now += later
        shown, depth = board.shown(now), 0
        while shown is not None:
            assert shown.until > now
            shown, depth = shown.below, depth + 1
        assert depth <= 2, "nothing piles up"


def test_every_change_of_what_is_seen_has_its_own_revision():
    board, seen = Board(), {0}
    for change in (
        lambda: board.feedback(DENIED, 0.0),
        lambda: board.hangs_by({"lift": NOTICE}),
        lambda: board.shown(50.0),
        lambda: board.hangs_by({}),
    ):
        change()
        assert board.revision not in seen
        seen.add(board.revision)
    board.hangs_by({})
    board.shown(60.0)
    assert board.revision in seen, "nothing changed"


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("door.pending.pin", True),
        ("door.pending.pin-qrcode", True),
        ("door.pending.face", False),
        ("door.granted", False),
        ("face.prompt.spin", False),
        ("", False),
    ],
)
def test_the_keypad_opens_where_a_number_is_missing(key, wanted):
    board = Board()
    board.feedback(Feedback(FeedbackKind.WAITING, "…", 5.0, key), 0.0)
    assert board.shown(0.0).wants_digits is wanted


# --------------------------------------------------------------------------------------------------------------- lines


def test_a_persons_line_is_shown_with_the_grant_that_follows():
    board = Board()
    board.offer(NOTICE, 100.0)
    board.feedback(GRANTED, 100.2)
    shown = board.shown(100.2)
    assert shown.lines == (NOTICE,)
    assert shown.until == 100.2 + NOTICE.seconds, "as long as its longest line"


@pytest.mark.parametrize("other", [DENIED, PIN])
def test_a_persons_line_is_never_shown_without_a_grant_nor_to_the_next_person(other):
    board = Board()
    board.offer(NOTICE, 100.0)
    board.feedback(other, 100.1)
    assert board.shown(100.1).lines == ()
    board.feedback(GRANTED, 100.2)
    assert board.shown(100.2).lines == ()


def test_a_persons_line_does_not_wait_for_a_grant_for_long():
    board = Board()
    board.offer(NOTICE, 100.0)
    board.feedback(GRANTED, 100.0 + OFFER)
    assert board.shown(100.0 + OFFER).lines == ()


def test_a_doors_notice_stays_until_it_is_taken_back():
    board = Board()
    board.hangs_by({"lift": NOTICE})
    board.feedback(GRANTED, 0.0)
    board.shown(1000.0)
    assert board.notices == (NOTICE,)
    board.hangs_by({})
    assert board.notices == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""},
        {"key": "a.b", "seconds": 0.5},
        {"key": "a.b", "seconds": 60.0},
        {"key": "a.b", "seconds": float("nan")},
        {"key": "a.b", "values": {"text": "x" * 61}},
    ],
)
def test_a_line_that_cannot_be_read_in_passing_is_refused_where_it_is_made(wrong):
    with pytest.raises(ValueError, match="line"):
        Line(**wrong)


def test_numbers_are_taken_at_a_persons_pace():
    board = Board()
    assert all(board.may_type(float(second)) for second in range(TYPED))
    assert not board.may_type(TYPED_WITHIN - 0.1)
    assert board.may_type(TYPED_WITHIN)


# --------------------------------------------------------------------------------------------------------------- words


def test_what_is_large_is_what_happened_and_below_it_stands_what_to_do_next(messages):
    board = Board()
    board.feedback(DENIED, 0.0)
    shown = result(board.shown(0.0), 6.0, messages)
    assert shown["title"] == {"zh-CN": "未注册信息", "en": "Not registered"}
    assert shown["next"] == {
        "zh-CN": "请刷证件，或按门铃呼叫住户",
        "en": "touch your card, or ring the flat",
    }


def test_a_sentence_that_no_catalogue_has_is_shown_as_the_reader_got_it(messages):
    board = Board()
    board.feedback(Feedback(FeedbackKind.DENIED, "今天不行 · 明天再来", 3.0, "quiet.no_such_key"), 0.0)
    shown = result(board.shown(0.0), 6.0, messages)
    assert shown["title"]["en"] == "今天不行"
    assert shown["next"]["en"] == "明天再来"


def test_nobody_is_shown_a_key(messages):
    assert sentence(Line("nobody.has_this"), messages) == {}


def test_both_languages_have_the_same_keys_and_placeholders():
    texts = Catalogue.of_package("menwei_screen").texts
    chinese, english = (texts[language] for language in LANGUAGES)
    assert chinese.keys() == english.keys()
    assert [key for key in chinese if placeholders(chinese[key]) != placeholders(english[key])] == []
    assert {key.partition(".")[0] for key in chinese} == {"screen"}


def test_the_page_has_all_its_words_in_both_languages(messages):
    words = page_words(messages)
    assert set(words) == set(LANGUAGES)
    assert all(len(set(words[language].values())) >= len(UI) - 2 for language in LANGUAGES)


# ------------------------------------------------------------------------------------------------------------- pairing


def test_a_code_pairs_once_and_only_while_it_is_shown():
    pairings = Pairings()
    code = pairings.begin(b"tablet", "10.0.0.7", 0.0)
    assert len(code) == 6
    assert pairings.code(b"tablet", 1.0) == code
    assert pairings.find(code, LIFETIME - 1) == b"tablet"
    pairings.done(b"tablet")
    assert pairings.find(code, LIFETIME - 1) is None
    later = pairings.begin(b"other", "10.0.0.7", 0.0)
    assert pairings.find(later, LIFETIME) is None
    assert pairings.code(b"other", LIFETIME) is None


def test_two_tablets_never_show_the_same_code():
    codes = iter(["111111", "111111", "222222"])
    pairings = Pairings(lambda: next(codes))
    assert [pairings.begin(name, "a", 0.0) for name in (b"1", b"2")] == ["111111", "222222"]


def test_one_address_has_few_codes_and_all_together_a_bounded_number():
    pairings = Pairings()
    for number in range(MOST_EACH + 1):
        pairings.begin(bytes([number]), "10.0.0.7", 0.0)
    assert pairings.code(bytes([0]), 0.0) is None, "the oldest gave way"
    for number in range(MOST - MOST_EACH):
        pairings.begin(bytes([100 + number]), f"10.0.1.{number}", 0.0)
    with pytest.raises(TooMany):
        pairings.begin(b"one more", "10.0.2.1", 0.0)
    assert pairings.begin(b"one more", "10.0.2.1", LIFETIME)


@given(
    st.lists(
        st.tuples(st.sampled_from("bcl"), st.binary(min_size=1, max_size=1), st.floats(0, 300)), max_size=60
    )
)
def test_whatever_comes_a_code_belongs_to_the_tablet_that_showed_it(steps):
    pairings, now, shown = Pairings(), 0.0, {}
    for what, tablet, later in steps:
        now += later
        if what == "b":
            try:
                shown[tablet] = pairings.begin(tablet, "a", now)
            except TooMany:
                continue
        elif what == "c":
            assert pairings.code(tablet, now) in (None, shown.get(tablet))
        elif tablet in shown:
            assert pairings.find(shown[tablet], now) in (None, tablet)
