"""Whether a new face is somebody's: compared here among few, in a process of its own among many."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei_face.comparer import FEW, Comparer
from menwei_face.template import Templates
from menwei_face.trouble import VaultTrouble

MANY = FEW + 1


def template(*leading):
    return struct.pack("<128f", *leading, *[0.0] * (128 - len(leading)))


def asking(answers):
    """A process that says it is ready, then these, one a question, and ends."""
    return (
        sys.executable, "-S", "-c",
        "import socket, struct, sys\n"
        "pipe = socket.socket(fileno=int(sys.argv[-1]))\n"
        "def say(raw): pipe.sendall(struct.pack('>I', len(raw)) + raw)\n"
        f"for raw in [b'{{\"ready\": true}}', *{answers!r}]:\n"
        "    say(raw)\n"
        "    held = b''\n"
        "    while len(held) < 4 or len(held) < 4 + struct.unpack('>I', held[:4])[0]:\n"
        "        held += pipe.recv(65536)\n",
    )  # fmt: skip


def test_among_few_people_no_process_is_started():
    comparer = Comparer(FEW, unit=False, command=("/nowhere",))
    comparer.put(Templates({"anna": [template(1), template(0, 9)], "ben": [template(5)]}))
    assert comparer.too_like([template(0.9)], 0.2, None)
    assert comparer.too_like([template(-1), template(0, 9.1)], 0.2, None)
    assert not comparer.too_like([template(0.9)], 0.2, "anna")
    assert not comparer.too_like([template(0.7)], 0.2, None)


def test_the_newer_templates_of_a_person_are_compared_with():
    comparer = Comparer(1, unit=False)
    comparer.put(Templates({"anna": [template(1)]}))
    comparer.put(Templates({"anna": [template(2)]}))
    assert not comparer.too_like([template(1)], 0.2, None)
    assert comparer.too_like([template(2)], 0.2, None)


def test_of_a_network_compared_by_angle_the_length_does_not_matter():
    comparer = Comparer(1, unit=True)
    comparer.put(Templates({"anna": [template(3)], "nobody": [template()]}))
    assert comparer.too_like([template(0.1)], 0.2, None)
    assert not comparer.too_like([template(0, 3)], 0.2, None)


def test_few_who_have_become_many_are_to_be_compared_elsewhere():
    comparer = Comparer(FEW, unit=False)
    comparer.put(Templates({str(number): [template(number)] for number in range(FEW)}))
    assert not comparer.outgrown
    comparer.put(Templates({"one more": [template(1)]}))
    assert comparer.outgrown


def test_what_is_closed_holds_nobody():
    comparer = Comparer(1, unit=False)
    comparer.put(Templates({"anna": [template(1)]}))
    comparer.close()
    assert not comparer._few


@pytest.mark.parametrize(
    "answers", [[], [b"[1"], [b"{}"], [b'{"answer": 1}'], [b'{"answer": null}'], [b'{"trouble": "full"}']]
)
def test_when_the_process_is_lost_nobody_passes_for_unlike_everybody(answers):
    """A process begun anew would hold nobody and know no likeness."""
    comparer = Comparer(MANY, unit=False, command=asking(answers))
    for _ in range(2):
        with pytest.raises(VaultTrouble, match="cannot be compared"):
            comparer.too_like([template(1)], 0.2, None)
    assert comparer._aside.pid is None


vectors = st.lists(st.integers(-3, 3), min_size=1, max_size=3).map(lambda leading: template(*leading))
people = st.dictionaries(st.sampled_from("abcd"), st.lists(vectors, min_size=1, max_size=3))


@given(people, st.lists(vectors, min_size=1, max_size=3), st.sampled_from([*"abcd", None]), st.booleans())
def test_here_the_answer_is_the_matchers(held, probes, but, unit):
    match = pytest.importorskip("menwei_face.match", reason="numpy is not installed")
    comparer = Comparer(1, unit=unit)
    comparer.put(Templates(held))
    gallery = match.Gallery.of(Templates(held), unit=unit)
    found = [gallery.too_like(match.vector(probe), 0.55, but=but) for probe in probes]
    assert comparer.too_like(probes, 0.55, but) == any(one is not None for one in found)


# --------------------------------------------------------------------------------------------- the process


@pytest.fixture
def among_many():
    pytest.importorskip("numpy", reason="NO COMPARING PROCESS TESTED: numpy is not installed")
    comparer = Comparer(MANY, unit=False)
    yield comparer
    comparer.close()


@pytest.mark.e2e
def test_among_many_a_process_compares_and_is_gone_at_the_end(among_many):
    among_many.put(Templates({f"p{number}": [template(number, 1)] * 5 for number in range(2 * FEW)}))
    among_many.put(Templates({"anna": [template(0, 5)]}))
    assert among_many.too_like([template(0, 9), template(7, 1.1)], 0.2, None)
    assert not among_many.too_like([template(7, 1.1)], 0.2, "p7")
    assert among_many.too_like([template(0, 5.1)], 0.2, "p7")
    assert not among_many.too_like([template(0, 6)], 0.2, None)
    pid = among_many._aside.pid
    among_many.close()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.e2e
def test_a_process_that_was_killed_is_told_and_not_replaced_by_one_that_knows_nobody(among_many):
    among_many.put(Templates({"anna": [template(1)]}))
    among_many._aside._process.kill()
    with pytest.raises(VaultTrouble, match="cannot be compared"):
        among_many.too_like([template(1)], 0.2, None)
    with pytest.raises(VaultTrouble, match="cannot be compared"):
        among_many.put(Templates({"ben": [template(1)]}))


@pytest.mark.e2e
def test_what_is_missing_for_comparing_is_said(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise ImportError('libopenblas is not here')")
    monkeypatch.syspath_prepend(tmp_path)
    comparer = Comparer(MANY, unit=False)
    with pytest.raises(VaultTrouble, match="libopenblas"):
        comparer.put(Templates({}))
