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
from menwei.loader import LoadedPlugin, PluginState
from menwei.manifest import installed
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
        async with asyncio.timeout(60):
            while not (line := (await stream.content.readline()).decode()).startswith("data:"):
                pass
            while "RecognizerState" not in line:
                line = (await stream.content.readline()).decode()
    entry = json.loads(line.removeprefix("data:"))
    assert entry["text"] == "识别 face.faces：离线，正在重试"
    assert entry["shown"] is False


NOT_LIVE = "menwei_face.NotLive"


@pytest.fixture
def face(house: Any) -> None:
    """The house with the face plugin of this checkout loaded, as far as its manifest goes."""
    found = installed()["face"]
    house.showing = LoadedPlugin("face", found.manifest, PluginState.OK, package=found.package).shows


async def test_a_face_that_did_not_prove_to_be_alive_goes_by_as_a_refusal_without_a_word_on_whose(
    words: Any, face: None, client: Browser
) -> None:
    shown = await row(client, NOT_LIVE, failure="flat", method="head_turn")
    assert shown["text"] == "已拒绝：刷脸未通过活体检测"
    assert (shown["tone"], shown["shown"], shown["detail"]) == ("warn", True, "")
    assert (shown["holder"], shown["credential"], shown["actor"]) == (None, None, None)


async def test_what_a_plugin_shows_is_on_the_live_stream_and_among_the_doors_entries(
    words: Any, face: None, client: Browser
) -> None:
    house = client.app[HOUSE]  # type: ignore[index]
    await sign_in(client, "committee")
    async with client.get("/api/events") as stream:
        await house.journal.record(Entry(NOT_LIVE, house.clock.now(), "gate", "gate-in", {}), 10)
        async with asyncio.timeout(60):
            while NOT_LIVE not in (line := (await stream.content.readline()).decode()):
                pass
    assert json.loads(line.removeprefix("data:"))["shown"] is True
    listed = await (await client.get("/api/doors/gate/journal")).json()
    assert [entry["kind"] for entry in listed["entries"]] == [NOT_LIVE]


async def test_a_plugins_own_kind_that_its_manifest_does_not_show_stays_out_of_the_passages(
    words: Any, face: None, client: Browser
) -> None:
    house = client.app[HOUSE]  # type: ignore[index]
    await sign_in(client, "guard")
    await house.journal.record(Entry("menwei_face.Withdrawn", house.clock.now()), 10)
    assert (await (await client.get("/api/recent")).json())["entries"] == []


def test_what_any_plugin_here_shows_it_says_in_both_languages() -> None:
    for name, found in installed().items():
        shown = LoadedPlugin(name, found.manifest, PluginState.OK, package=found.package).shows
        messages = Messages(strict=True)
        if shown:
            messages.add(found.package)
        for kind in shown:
            said = [messages.find(language, f"entry.{kind}") for language in ("zh-CN", "en")]
            assert None not in said and len(set(said)) == 2, kind


@pytest.mark.parametrize("kind", ["menwei_rules.CloneSuspected", "menwei_rules.PassbackViolated"])
async def test_a_guard_sees_at_once_that_a_card_was_perhaps_copied_or_passed_back(
    house: Any, client: Browser, kind: str
) -> None:
    found = installed()["rules"]
    house.showing = LoadedPlugin("rules", found.manifest, PluginState.OK, package=found.package).shows
    house.messages = Messages(strict=True)
    for package in ("menwei_console", "menwei_rules"):
        house.messages.add(package)
    shown = await row(client, kind, seconds=20)
    assert (shown["tone"], shown["shown"]) == ("warn", True)
    assert shown["text"] == house.messages.t("zh-CN", f"entry.{kind}")


def test_a_plugin_that_could_not_be_loaded_shows_nothing() -> None:
    manifest = installed()["face"].manifest
    broken = LoadedPlugin("face", manifest, PluginState.BROKEN, package="menwei_face")
    assert broken.shows == LoadedPlugin("face", None, PluginState.OK).shows == frozenset()


async def test_a_device_that_is_lost_is_named(words: Any, house: Any) -> None:
    call = SimpleNamespace(
        who=SimpleNamespace(role="guard"),
        house=house,
        language="en",
        t=lambda key, **v: words.t("en", key, **v),
    )
    entry = SimpleNamespace(kind="DeviceState", data={"device": "board", "state": "failed"})
    assert entryview._words(call, entry) == ("Device board: Failed", "")  # type: ignore[arg-type]
