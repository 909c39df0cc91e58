"""The process that looks at photos, as the core sees it: heard, disbelieved, replaced when it dies, ended when idle.

In place of the networks stand small programs that speak the same way, or do not; the real one is in
`tests/e2e/test_face_enrolment.py`."""

from __future__ import annotations

import asyncio
import base64
import math
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei_face import examiner as examiners
from menwei_face.aside import Nonsense
from menwei_face.examiner import LONGEST, Examiner, ExaminerTrouble, understood
from menwei_face.flaw import Flaw
from menwei_face.photos import Looked, Reject
from menwei_face.template import numbers

TEMPLATE = struct.pack("<128f", *(number / 64 - 1 for number in range(128)))
FACE = {
    "why": [],
    "vector": base64.b64encode(TEMPLATE).decode(),
    "quality": [80, 100, 0, 1, 130, 0, 2],
}

SPEAK = """
import json, os, socket, struct, sys
pipe = socket.socket(fileno=int(sys.argv[-1]))
def say(facts):
    raw = json.dumps(facts).encode() if isinstance(facts, dict) else facts
    pipe.sendall(struct.pack(">I", len(raw)) + raw)
def hear():
    head = pipe.recv(4)
    if not head:
        sys.exit()
    count, = struct.unpack(">I", head)
    held = b""
    while len(held) < count:
        held += pipe.recv(count - len(held))
    return held
"""
HONEST = (
    SPEAK
    + """
say({"ready": True})
while True:
    photo = hear()
    if photo == b"crash": os.abort()
    if photo == b"lie": say(b"[1, 2")
    elif photo == b"flood": pipe.sendall(struct.pack(">I", 1 << 30))
    else: say({"why": [photo.decode()]})
"""
)


@pytest.fixture
async def examiner(tmp_path):
    made = Examiner(tmp_path, (sys.executable, "-S", "-c", HONEST))
    yield made
    await made.close()


async def test_photos_are_looked_at_one_after_the_other_in_one_process(examiner):
    looked = await asyncio.gather(*(examiner.look(str(n), b"blurred") for n in range(3)))
    assert looked == [Looked(str(n), (Flaw.BLURRED,)) for n in range(3)]
    pid = examiner.pid
    await examiner.look("again", b"turned")
    assert examiner.pid == pid


@pytest.mark.parametrize("photo", [b"crash", b"lie", b"flood"])
async def test_a_photo_that_kills_or_confuses_it_costs_that_photo_only(examiner, photo):
    await examiner.look("before", b"blurred")
    pid = examiner.pid
    with pytest.raises(ExaminerTrouble):
        await examiner.look("bad", photo)
    assert (await examiner.look("after", b"blurred")).why == (Flaw.BLURRED,)
    assert examiner.pid != pid
    assert not Path(f"/proc/{pid}").exists()


async def test_what_is_missing_is_said_and_tried_anew(tmp_path):
    made = Examiner(tmp_path, (sys.executable, "-S", "-c", SPEAK + 'say({"trouble": "weights are missing"})'))
    for _ in range(2):
        with pytest.raises(ExaminerTrouble, match="weights are missing"):
            await made.look("one", b"")
        assert made.pid is None


async def test_it_is_told_which_network_the_templates_are_of_whatever_is_chosen_meanwhile(tmp_path):
    """Two networks may both give 128 numbers, and nothing else would notice."""
    told = SPEAK + 'say({"trouble": sys.argv[-2]})'
    made = Examiner(tmp_path, (sys.executable, "-S", "-c", told), embedder="SFace")
    with pytest.raises(ExaminerTrouble, match="SFace"):
        await made.look("one", b"")


async def test_it_is_gone_when_nobody_enrols_any_more(examiner, monkeypatch):
    monkeypatch.setattr(examiners, "IDLE", 0.0)
    await examiner.look("one", b"blurred")
    async with asyncio.timeout(60):
        while examiner.pid is not None:
            await asyncio.sleep(0.01)


async def test_who_no_longer_waits_is_not_waited_for(tmp_path):
    mute = Examiner(tmp_path, (sys.executable, "-S", "-c", SPEAK + 'say({"ready": True}); hear(); hear()'))
    task = asyncio.create_task(mute.look("one", b"blurred"))
    async with asyncio.timeout(60):
        while mute.pid is None:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert mute.pid is None
    await mute.close()


async def test_it_ends_with_its_parent(tmp_path):
    """The other end of the pipe is closed, as when the core is killed."""
    made = Examiner(tmp_path, (sys.executable, "-S", "-c", HONEST))
    await made.look("one", b"blurred")
    process = made._aside._process
    made._aside._pipe.close()
    assert await asyncio.to_thread(process.wait, 20) is not None
    await made.close()


def test_a_face_is_understood():
    looked = understood("one", FACE)
    assert (looked.why, looked.template, looked.quality.eyes) == ((), TEMPLATE, 80.0)


def test_a_face_whose_pose_cannot_be_told_is_turned():
    broken = FACE | {"quality": [0, 100, float("inf"), 1, 130, 0, 2]}
    assert understood("one", broken) == Looked("one", (Flaw.TURNED,))


@pytest.mark.parametrize("changes", [
    {"why": None}, {"why": ["perhaps"]}, {"why": [["blurred"]]}, {"why": ["too_alike"]}, {"vector": "???"},
    {"vector": ""}, {"vector": base64.b64encode(struct.pack("<2f", 1, math.nan)).decode()},
    {"vector": base64.b64encode(TEMPLATE[:-1]).decode()}, {"vector": base64.b64encode(bytes(4 * LONGEST + 4)).decode()},
    {"quality": [1]}, {"quality": None}, {"quality": ["x"] * 7},
])  # fmt: skip
def test_nonsense_is_no_face(changes):
    with pytest.raises(Nonsense):
        understood("one", FACE | changes)


def test_neither_a_face_nor_a_reason_is_nonsense():
    with pytest.raises(Nonsense):
        understood("one", {"why": []})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("why", "vector", "quality", "error"), json_values)))
def test_whatever_it_says_is_a_photo_looked_at_or_nonsense(facts):
    try:
        looked = understood("one", facts)
    except Nonsense:
        return
    assert all(isinstance(why, Flaw) or why is Reject.UNREADABLE for why in looked.why)
    assert looked.why or (looked.template is not None and len(numbers(looked.template)))
