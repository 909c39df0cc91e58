"""A journal entry as people read it: how somebody was recognised, and what became of devices and recognizers."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from menwei import entryview
from menwei.journal import Entry
from menwei.messages import Messages
from small_house import HOUSE, sign_in

Browser = TestClient[Any, Any]


@pytest.fixture
def words(house: Any) -> Any:
    """The house with the words of the face plugin."""
    messages = Messages(strict=True)
    messages.add("menwei_console")
    messages.add("menwei_face")
    house.messages = messages
    return messages


async def row(client: Browser, kind: str, door: str = "gate", **data: Any) -> dict[str, Any]:
    """The entry as the newest row of a guard's list of passages."""
    house = client.app[HOUSE]  # type: ignore[index]
    await sign_in(client, "guard")
    await house.journal.record(Entry(kind, house.clock.now(), door, f"{door}-in", data), 10)
    listed: dict[str, Any] = await (await client.get("/api/recent")).json()
    found: dict[str, Any] = listed["entries"][0]
    return found


FACE = {"recognizer": "face.faces", "score": 0.6184, "liveness": "head_turn"}


async def test_a_passage_by_face_shows_score_and_how_liveness_was_checked(
    words: Any, client: Browser
) -> None:
    shown = await row(client, "AccessGranted", recognition=FACE)
    assert shown["detail"] == "相似度 0.62 · 转头活体检测"


async def test_a_refusal_by_face_shows_them_beside_the_reason(words: Any, client: Browser) -> None:
    checks = [{"reason": "CredentialExpired", "says": "door.expired"}]
    shown = await row(client, "AccessDenied", recognition=FACE, checks=checks)
    assert shown["detail"].endswith(" · 相似度 0.62 · 转头活体检测")
    assert len(shown["detail"]) > len(" · 相似度 0.62 · 转头活体检测")


async def test_a_word_that_no_catalogue_has_is_shown_as_it_is(words: Any, client: Browser) -> None:
    seen = {**FACE, "recognizer": "other.eye", "liveness": "blink"}
    assert (await row(client, "AccessGranted", recognition=seen))["detail"] == "相似度 0.62 · blink"


async def test_a_card_or_a_code_shows_no_similarity(words: Any, client: Browser) -> None:
    assert (await row(client, "AccessGranted"))["detail"] == ""
    codes = {"recognizer": "qr.codes", "score": 1.0}
    assert (await row(client, "AccessGranted", recognition=codes))["detail"] == ""


async def test_a_recognizer_that_is_lost_is_told_on_the_live_stream_in_words(
    words: Any, client: Browser
) -> None:
    house = client.app[HOUSE]  # type: ignore[index]
    await sign_in(client, "guard")
    async with client.get("/api/events") as stream:
        state = {"recognizer": "face.faces", "state": "retrying", "text": "the camera worker ended"}
        await house.journal.record(Entry("RecognizerState", house.clock.now(), data=state), 10)
        async with asyncio.timeout(10):
            while not (line := (await stream.content.readline()).decode()).startswith("data:"):
                pass
            while "RecognizerState" not in line:
                line = (await stream.content.readline()).decode()
    entry = json.loads(line.removeprefix("data:"))
    assert entry["text"] == "识别 face.faces：离线，正在重试"
    assert entry["shown"] is False


async def test_a_device_that_is_lost_is_named(words: Any, house: Any) -> None:
    call = SimpleNamespace(
        who=SimpleNamespace(role="guard"),
        house=house,
        language="en",
        t=lambda key, **v: words.t("en", key, **v),
    )
    entry = SimpleNamespace(kind="DeviceState", data={"device": "board", "state": "failed"})
    assert entryview._words(call, entry) == ("Device board: Failed", "")  # type: ignore[arg-type]
