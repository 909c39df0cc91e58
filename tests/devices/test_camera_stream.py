"""Addresses of cameras, pictures out of streams, messages of the worker: what needs no OpenCV."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from menwei_camera import wire
from menwei_camera.driver import CameraConfig
from menwei_camera.jpegs import EOI, SOI, JpegStream
from menwei_camera.looking import LookSpec, resolve
from menwei_camera.stream import Kind, parse

PICTURE = SOI + b"\xe0picture" + EOI


@pytest.mark.parametrize(
    ("url", "kind", "address"),
    [
        ("rtsp://10.0.0.8:554/stream2?x=1", Kind.RTSP, "rtsp://10.0.0.8:554/stream2?x=1"),
        ("http://[::1]:8080/video.mjpg", Kind.HTTP, "http://[::1]:8080/video.mjpg"),
        ("file:///srv/a%20clip.mp4", Kind.FILE, "/srv/a clip.mp4"),
        ("v4l2:///dev/video0", Kind.V4L2, "/dev/video0"),
    ],
)
def test_an_address_says_what_kind_of_camera_it_is(url, kind, address):
    spec = parse("gate", url)
    assert (spec.kind, spec.address) == (kind, address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gopher://10.0.0.8",
        "rtsp://",
        "rtsp:///x",
        "file://host/x",
        "http://[::1",
        "rtsp://10.0.0.8:99999/",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url):
    with pytest.raises(ValueError, match=r"expected|begins|names|no address") as error:
        parse("gate", url)
    assert url == "" or url not in str(error.value)


def test_a_password_is_in_no_text_of_a_camera():
    spec = parse("gate", "rtsp://door:s3cr%2Ft@10.0.0.8/1")
    assert (spec.user, spec.password) == ("door", "s3cr/t")
    assert "s3cr" not in repr(spec) + spec.address
    assert spec.with_secrets() == "rtsp://door:s3cr%2Ft@10.0.0.8/1"
    for text in ("s3cr/t", "rtsp://door:s3cr%2Ft@10.0.0.8/1", "at //u:p@x failed"):
        assert "s3cr" not in spec.scrub(text) and "u:p" not in spec.scrub(text)


def test_a_wrong_configuration_does_not_repeat_the_password():
    with pytest.raises(ValidationError) as error:
        CameraConfig(url="rtp://door:s3cret@10.0.0.8/1", password="s3cret")
    assert "s3cret" not in str(error.value)
    assert "s3cret" not in repr(CameraConfig(url="rtsp://door:s3cret@10.0.0.8/1", password="s3cret"))


def test_specs_travel_to_the_worker():
    spec = parse("gate", "rtsp://door:s3cret@10.0.0.8/1", rotate=90)
    look = LookSpec("faces", "menwei_face:look", ("gate",), {"secret": 1})
    assert pickle.loads(pickle.dumps((spec, look))) == (spec, look)
    assert "secret" not in repr(look)


def test_a_picture_comes_out_of_pieces():
    stream = JpegStream()
    data = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + PICTURE
    assert [stream.feed(bytes([byte])) for byte in data][-1] == PICTURE


def test_only_the_newest_of_several_pictures_is_taken():
    other = SOI + b"\xe1newer" + EOI
    assert JpegStream().feed(b"x" + PICTURE + b"--frame\r\n\r\n" + other + SOI) == other


def test_a_picture_that_never_ends_is_dropped_and_the_next_one_taken():
    stream = JpegStream(longest=100)
    assert stream.feed(SOI + bytes(200)) is None
    assert stream.dropped >= 200
    assert stream.feed(PICTURE) == PICTURE


@given(st.lists(st.one_of(st.binary(max_size=60), st.just(PICTURE), st.just(SOI), st.just(EOI)), max_size=20))
def test_whatever_comes_the_stream_holds_little_and_gives_whole_pictures(pieces):
    stream = JpegStream(longest=200)
    for piece in pieces:
        picture = stream.feed(piece)
        assert picture is None or (picture.startswith(SOI) and picture.endswith(EOI))
        assert len(stream._held) <= 200 + len(piece)


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_how_the_bytes_are_cut_makes_no_difference(parts):
    data = b"".join(part + PICTURE for part in parts)
    whole, pieces = JpegStream().feed(data), JpegStream()
    last = None
    for start in range(0, len(data), 7):
        last = pieces.feed(data[start : start + 7]) or last
    assert last == whole


@given(st.binary(max_size=200))
def test_nothing_a_worker_says_is_more_than_json(payload):
    try:
        assert isinstance(wire.in_core(payload), dict)
    except wire.WireError:
        return


def test_a_message_of_absurd_length_is_refused():
    with pytest.raises(wire.WireError):
        wire.length(b"\xff\xff\xff\xff")


@pytest.mark.parametrize("name", ["json", "json:", ":loads", "json:no_such_function", "no_such_module:x"])
def test_a_looker_that_is_not_there_is_an_error_with_its_name(name):
    with pytest.raises((ValueError, ImportError, AttributeError)):
        resolve(name)
