"""The API of enrolment and its pages, as a desk uses them over HTTP. In place of the process that looks at photos stands
one that reads the answer off the file itself; real photos are looked at in `tests/e2e/test_face_enrolment.py`."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.slow

np = pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from aiohttp import CookieJar, FormData
from aiohttp.test_utils import TestClient, TestServer

from face_house import FaceHouse, face, face_house
from menwei import CredentialState, IdentifierType
from menwei.openapi import describe
from menwei.web import application
from menwei_face import sessions
from menwei_face.consent import TEXT_VERSION
from menwei_face.examiner import ExaminerTrouble
from menwei_face.flaw import Flaw
from menwei_face.match import template
from menwei_face.photos import Looked, Reject
from menwei_face.quality import Quality
from menwei_face.trouble import VaultTrouble
from menwei_tenancy.words import TenancyError
from small_house import HOUSE, sign_in
from waiting import until

BASE = "/api/face"
GOOD = Quality(80.0, 100.0, 0.02, 1.0, 130.0, 0.0, 2.0)
CONSENT = {"agreed": True, "version": TEXT_VERSION, "age": "older"}
THREE = ("lin 1", "lin 2", "lin 3")


class Reader:
    """Takes "lin 2" for the second photo of lin, and any other file for what its word says."""

    def __init__(self) -> None:
        self.looked: list[bytes] = []

    async def look(self, name: str, photo: bytes) -> Looked:
        self.looked.append(photo)
        who, _, number = photo.decode().partition(" ")
        if number:
            return Looked(name, (), template(face(who, int(number))), GOOD)
        if who in set(Flaw):
            return Looked(name, (Flaw(who),), template(face("anybody")), GOOD)
        if who == "trouble":
            raise ExaminerTrouble("weights are missing")
        return Looked(name, (Reject.UNREADABLE,))

    async def close(self) -> None:
        """Nothing was opened."""


@pytest.fixture
async def house(tmp_path):
    async with face_house(tmp_path) as opened:
        opened.enrolment._examiner = Reader()
        yield opened


@pytest.fixture
async def client(house: FaceHouse):
    app = application(house, [route for plugin in house.plugins.values() for route in plugin.routes])
    app[HOUSE] = house
    async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True)) as opened:
        yield opened


async def send(client: Any, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    words = {"json": body} if isinstance(body, dict | None) else {"data": body}
    answer = await client.request(method, BASE + path, **(words if method != "GET" else {}))
    text = await answer.text()
    assert answer.status == status, text
    return await answer.json()


def files(*photos: str, consent: str = "") -> FormData:
    form = FormData(default_to_multipart=True)
    if consent:
        form.add_field("consent", consent)
    for number, photo in enumerate(photos):
        form.add_field("photo", photo.encode(), filename=f"{number}.jpg", content_type="image/jpeg")
    return form


async def test_from_consent_over_photos_to_a_credential_and_back(house, client):
    await sign_in(client, "registrar")
    holder = await house.person()
    before = await send(client, "GET", f"/people/{holder}")
    assert (before["consent"], before["enrolled"], before["other_way"], before["ready"]) == (
        None,
        None,
        True,
        False,
    )
    await send(client, "POST", f"/people/{holder}/consent", CONSENT)
    assert (await send(client, "GET", f"/people/{holder}"))["ready"]
    told = await send(client, "POST", f"/people/{holder}/photos", files(*THREE))
    assert (told["enrolled"], told["templates"], told["reason"]) == (True, 3, "")
    assert [photo["name"] for photo in told["photos"] if photo["used"]] == ["0.jpg", "1.jpg", "2.jpg"]
    assert (await send(client, "GET", f"/people/{holder}"))["enrolled"]["source"] == "photos"
    receipt = await send(client, "POST", f"/people/{holder}/withdraw", {})
    assert (receipt["templates"], receipt["key_destroyed"], receipt["controllers"]) == (3, True, [])
    assert await send(client, "GET", f"/receipts/{receipt['id']}") == receipt
    after = await send(client, "GET", f"/people/{holder}")
    assert (after["enrolled"], after["ready"], after["receipts"]) == (None, False, [receipt])
    assert house.credentials(holder, IdentifierType.CARD)[0].state is CredentialState.ENABLED


async def test_before_the_consent_no_photo_is_even_looked_at(house, client):
    await sign_in(client)
    holder, without = await house.person(), await house.person(carded=False)
    told = await send(client, "POST", f"/people/{holder}/photos", files(*THREE), 409)
    assert told["error"] == "face.consent.missing"
    await send(client, "POST", f"/people/{without}/consent", CONSENT)
    told = await send(client, "POST", f"/people/{without}/photos", files(*THREE), 409)
    assert told["error"] == "face.enrol.no_other_way"
    assert house.enrolment._examiner.looked == []


async def test_of_rejected_photos_each_is_told_with_why_and_nothing_is_kept(house, client):
    await sign_in(client)
    holder = await house.consented()
    form = files("lin 1", "lin 2", "blurred", "two_faces", "garbage", "wang 1", "lin 1")
    told = await send(client, "POST", f"/people/{holder}/photos", form)
    assert (told["enrolled"], told["usable"], told["reason"]) == (False, False, "too_few")
    assert [photo["why"] for photo in told["photos"]] == [
        [], [], ["blurred"], ["two_faces"], ["unreadable"], ["somebody_else"], ["same_photo"]
    ]  # fmt: skip
    assert all(bool(photo["messages"]) == bool(photo["why"]) for photo in told["photos"])
    assert await house.known() == frozenset()
    assert (await send(client, "GET", f"/people/{holder}"))["enrolled"] is None


async def test_a_face_too_like_another_is_refused_without_saying_whose(house, client):
    await sign_in(client)
    first = await house.enrolled("lin", "0401")
    holder = await house.consented("0402")
    told = await send(client, "POST", f"/people/{holder}/photos", files(*THREE))
    assert (told["enrolled"], told["reason"]) == (False, "too_alike")
    assert str(first) not in str(told)


async def test_a_dry_run_tells_the_same_and_writes_nothing(house, client):
    await sign_in(client)
    holder = await house.person()
    consent = f'{{"agreed": true, "version": {TEXT_VERSION}, "age": "older"}}'
    path = f"/people/{holder}/photos?dry_run=true"
    told = await send(client, "POST", path, files(*THREE, consent=consent))
    assert (told["enrolled"], told["usable"], told["templates"]) == (False, True, 3)
    assert (await send(client, "GET", f"/people/{holder}"))["consent"] is None
    told = await send(client, "POST", path.partition("?")[0] + "?source=list", files(*THREE, consent=consent))
    assert told["enrolled"]
    standing = await send(client, "GET", f"/people/{holder}")
    assert (standing["consent"]["holds"], standing["enrolled"]["source"]) == (True, "list")


async def test_a_consent_that_lacks_something_is_refused_with_what(house, client):
    await sign_in(client)
    holder = await house.person()
    tomorrow = (await today(house) + timedelta(days=1)).isoformat()
    for change, error in (
        ({"agreed": False}, "face.consent.not_agreed"), ({"version": 99}, "face.consent.old_text"),
        ({"age": "under_14"}, "face.consent.guardian_missing"), ({"given": tomorrow}, "face.consent.future"),
        ({"age": "under_14", "guardian_name": "林父"}, "face.consent.guardian_not_agreed"),
    ):  # fmt: skip
        told = await send(
            client, "POST", f"/people/{holder}/consent", CONSENT | change, 400 if "given" in change else 409
        )
        assert told["error"] == error
    child = CONSENT | {"age": "under_14", "guardian_name": "林父", "guardian_agreed": True}
    told = await send(
        client, "POST", f"/people/{holder}/consent", child | {"given": (await today(house)).isoformat()}
    )
    assert (told["minor"], told["guardian"] is not None) == (True, True)


async def today(house):
    from datetime import datetime

    return datetime.fromtimestamp(house.clock.now(), house.site.zone).date()


async def test_a_refusal_is_counted_and_changes_nothing_else(house, client):
    await sign_in(client)
    holder = await house.person()
    await send(client, "POST", f"/people/{holder}/refusal", {})
    assert (await send(client, "GET", f"/people/{holder}"))["consent"]["answer"] == "refused"
    told = await send(client, "GET", "")
    assert (told["refused"], told["enrolled"], told["text_version"]) == (1, 0, TEXT_VERSION)
    assert house.credentials(holder, IdentifierType.CARD)[0].state is CredentialState.ENABLED


async def test_what_is_no_form_of_photos_is_refused(house, client):
    await sign_in(client)
    holder = await house.consented()
    path = f"/people/{holder}/photos"
    assert (await send(client, "POST", path, {"photo": "x"}, 400))["error"] == "face.enrol.multipart"
    assert (await send(client, "POST", path, files(), 400))["error"].startswith("face.enrol.")
    assert (await send(client, "POST", path, files(*(f"lin {n}" for n in range(13))), 409))["error"] == (
        "face.enrol.too_many"
    )
    assert (await send(client, "POST", path, files("x" * (17 << 20)), 413))["error"] == "face.enrol.too_large"
    broken = files(*THREE, consent='{"agreed": "perhaps"}')
    assert (await send(client, "POST", path, broken, 400))["where"].startswith("consent.")
    form = FormData(default_to_multipart=True)
    form.add_field("video", b"x", filename="x.mp4")
    assert (await send(client, "POST", path, form, 400))["error"] == "face.enrol.multipart"
    assert house.enrolment._examiner.looked == []


async def test_missing_networks_are_told_and_nothing_is_done(house, client):
    await sign_in(client)
    holder = await house.consented()
    told = await send(client, "POST", f"/people/{holder}/photos", files("lin 1", "trouble"), 503)
    assert told["error"] == "face.enrol.no_examiner"
    assert "weights are missing" in told["message"]


async def test_a_withdrawal_that_is_not_done_yet_says_so(house, client, monkeypatch):
    await sign_in(client)
    holder = await house.enrolled()

    async def away(subject):
        raise VaultTrouble("in use elsewhere")

    monkeypatch.setattr(house.faces, "withdraw", away)
    receipt = await send(client, "POST", f"/people/{holder}/withdraw", {})
    assert (receipt["done"], receipt["key_destroyed"]) == (None, False)
    page = await (
        await client.get(f"/face/receipts/{receipt['id']}", headers={"Accept-Language": "zh-CN"})
    ).text()
    assert "尚未完成" in page


async def test_only_the_desk_enrols_withdraws_and_looks(house, client):
    await sign_in(client)
    holder = await house.enrolled()
    receipt = await send(client, "POST", f"/people/{holder}/withdraw", {})
    for role in ("guard", "landlord", "tenant", "installer", "auditor"):
        other = TestClient(client.server, cookie_jar=CookieJar(unsafe=True))
        await sign_in(other, role)
        for path in ("", f"/people/{holder}", f"/receipts/{receipt['id']}", "/cameras"):
            await send(other, "GET", path, status=403)
        for path in ("consent", "refusal", "photos", "withdraw", "camera"):
            await send(other, "POST", f"/people/{holder}/{path}", {}, 403)
        assert (await other.get("/face")).status == 403


async def test_the_journal_says_what_the_desk_did_and_names_nobody_in_the_open(house, client):
    await sign_in(client, "registrar")
    holder = await house.person(name="林晓燕")
    await send(client, "POST", f"/people/{holder}/consent", CONSENT)
    await send(client, "POST", f"/people/{holder}/photos", files(*THREE))
    await send(client, "POST", f"/people/{holder}/withdraw", {})
    entries = await house.journal.read(kinds={"Audit"})
    said = [entry.data for entry in entries if str(entry.data["action"]).startswith("face.")]
    assert [one["action"] for one in said] == ["face.consent", "face.enrol", "face.withdraw"]
    assert (said[1]["templates"], said[2]["templates"], said[2]["done"]) == (3, 3, True)
    assert str(holder) not in str(said)
    assert "林晓燕" not in str(said)


async def test_somebody_who_does_not_exist_has_no_face(client):
    await sign_in(client)
    assert (await send(client, "GET", "/people/4711", status=404))["error"] == "face.enrol.no_person"
    assert (await send(client, "GET", "/receipts/4711", status=404))["error"] == "face.withdraw.no_receipt"
    assert (await send(client, "POST", "/people/4711/withdraw", {}, 404))["error"] == "face.withdraw.nothing"


async def test_a_list_finds_people_by_its_own_numbers(house, client):
    await sign_in(client)
    holder = await house.person(external_id="P-7")
    assert (await send(client, "GET", "/people?external_id=P-7"))["holder"] == holder
    assert (await send(client, "GET", "/people?external_id=P-8", status=404))[
        "error"
    ] == "face.enrol.no_person"


async def test_without_the_right_to_give_credentials_it_says_so(house, client, monkeypatch):
    await sign_in(client)
    holder = await house.person()
    monkeypatch.setattr(type(house.enrolment), "allowed", property(lambda self: False))
    told = await send(client, "POST", f"/people/{holder}/consent", CONSENT, 503)
    assert told["error"] == "face.enrol.not_allowed"
    assert [repair.message for repair in house.enrolment.repairs()] == ["face.repair.rights"]


# -------------------------------------------------------------------------------------------------------- tenants


async def tenant(house, client, holder):
    """A browser of somebody with an account of the role tenant; `holder` is who the tenancy says they are."""

    async def whose(reading, account):
        if holder is None:
            raise TenancyError("tenancy.no_tenant_account", 403)
        return holder

    made = SimpleNamespace(tenants=SimpleNamespace(holder=whose), read=house.enrolment.read)
    real = house.services.find_for
    house.services.find_for = lambda plugin, cls: made if cls.__name__ == "Tenancy" else real(plugin, cls)
    browser = TestClient(client.server, cookie_jar=CookieJar(unsafe=True))
    await sign_in(browser, "tenant")
    return browser


async def test_a_tenant_withdraws_their_own_face_and_sees_nobody_elses(house, client):
    holder, other = await house.enrolled("lin", "0401"), await house.enrolled("wang", "0402")
    theirs = await house.enrolment.withdraw(SimpleNamespace(actor=house.ACTOR, account=None), other)
    browser = await tenant(house, client, holder)
    assert (await send(browser, "GET", "/mine"))["enrolled"]["templates"] == 3
    page = await (await browser.get("/face/mine", headers={"Accept-Language": "en"})).text()
    assert house.messages.t("en", "face.page.is_enrolled", count=3) in page
    receipt = await send(browser, "POST", "/mine/withdraw", {})
    assert (receipt["holder"], receipt["templates"], receipt["key_destroyed"]) == (holder, 3, True)
    assert await house.known() == frozenset()
    assert (await browser.get(f"/face/mine/receipts/{receipt['id']}")).status == 200
    assert (await send(browser, "GET", f"/mine/receipts/{theirs.id}", status=404))["error"].endswith(
        "no_receipt"
    )
    await send(browser, "GET", f"/receipts/{receipt['id']}", status=403)
    assert house.credentials(holder, IdentifierType.CARD)[0].state is CredentialState.ENABLED


async def test_a_tenant_of_whom_nobody_has_said_who_they_are_sees_nothing(house, client):
    browser = await tenant(house, client, None)
    for method, path in (("GET", "/mine"), ("POST", "/mine/withdraw")):
        await send(browser, method, path, {}, 403)


async def test_who_a_tenants_account_is_the_tenancy_says(tmp_path):
    """The tenancy itself, not a stand-in."""
    async with face_house(tmp_path, "tenancy") as house:
        app = application(house, [route for plugin in house.plugins.values() for route in plugin.routes])
        app[HOUSE] = house
        jar = CookieJar(unsafe=True)
        async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=jar) as browser:
            await sign_in(browser, "tenant")
            assert (await send(browser, "GET", "/mine", status=403))["error"] == "face.mine.nobody"
            (account,) = [one.id for one in await house.accounts.list() if str(one.role) == "tenant"]
            household, member = await house.living(await house.places())
            await house.do("tenants", "link", member, account)
            (lives,) = (await house.ask("households", "household", household)).members
            told = await send(browser, "GET", "/mine")
            assert (told["holder"], told["enrolled"]) == (lives.holder, None)


async def test_the_desk_has_no_face_of_its_own_here(house, client):
    await sign_in(client, "registrar")
    await send(client, "GET", "/mine", status=403)


# ------------------------------------------------------------------------------------------------------ before a camera


class Cameras:
    """In place of the worker: what a guide says is said by the test."""

    def __init__(self) -> None:
        self.spec: Any = None
        self.closed = False

    def look(self, spec: Any, happened: Any) -> Any:
        self.spec, self.closed = spec, False
        self.say = lambda **event: happened(spec.cameras[0], event)
        self.looking = SimpleNamespace(
            spec=spec, ready=asyncio.Event(), lost=asyncio.Event(), trouble="", close=self._close
        )
        return self.looking

    def _close(self) -> None:
        self.closed = True

    def take(self, who: str, number: int) -> None:
        import base64

        vector = base64.b64encode(template(face(who, number))).decode()
        self.say(vector=vector, quality=[80.0, 100.0, 0.02, 1.0, 130.0, 0.0, 2.0])


@pytest.fixture
def cameras(house, monkeypatch):
    made = Cameras()
    real = house.services.find_for

    def find(plugin, cls):
        return made if cls.__name__ == "Cameras" else real(plugin, cls)

    monkeypatch.setattr(house.services, "find_for", find)
    monkeypatch.setattr(house, "drivers", lambda: {"board": "camera"})
    return made


async def state(client, session, *wanted):
    async with asyncio.timeout(60):
        while True:
            told = await send(client, "GET", f"/sessions/{session}")
            if told["state"] in wanted:
                return told
            await asyncio.sleep(0.01)


async def test_before_a_camera_the_person_is_guided_and_enrolled(house, client, cameras):
    await sign_in(client)
    holder = await house.consented()
    assert (await send(client, "GET", "/cameras"))["cameras"] == [
        {"id": "board", "place": "", "connected": True}
    ]
    begun = await send(client, "POST", f"/people/{holder}/camera", {"camera": "board"})
    assert begun["state"] == "starting"
    cameras.looking.ready.set()
    await state(client, begun["id"], "looking")
    cameras.say(guidance=["too_small", "too_dark"])
    told = await send(client, "GET", f"/sessions/{begun['id']}")
    assert (told["guidance"], told["have"]) == (["too_small", "too_dark"], 0)
    assert told["message"] == house.messages.t("zh-CN", "face.flaw.too_small")
    for number in range(5):
        cameras.take("lin", number)
    told = await state(client, begun["id"], "done", "failed")
    assert (told["state"], cameras.closed) == ("done", True)
    standing = await send(client, "GET", f"/people/{holder}")
    assert (standing["enrolled"]["source"], standing["enrolled"]["templates"]) == ("camera", 5)


async def test_stopping_before_a_camera_enrols_nobody_and_keeps_nothing(house, client, cameras):
    await sign_in(client)
    holder = await house.consented()
    begun = await send(client, "POST", f"/people/{holder}/camera", {"camera": "board"})
    busy = await send(client, "POST", f"/people/{holder}/camera", {"camera": "board"}, 409)
    assert busy["error"] == "face.camera.busy"
    cameras.looking.ready.set()
    await state(client, begun["id"], "looking")
    cameras.take("lin", 0)
    told = await send(client, "POST", f"/sessions/{begun['id']}/end", {})
    assert (told["state"], cameras.closed) == ("ended", True)
    assert house.enrolment.sessions.watch(begun["id"]).pictures == []
    assert await house.known() == frozenset()


async def test_a_camera_is_free_again_when_the_desk_has_gone_before_it_looked(
    house, client, cameras, monkeypatch
):
    await sign_in(client)
    holder = await house.consented()
    monkeypatch.setattr(sessions, "UNWATCHED", -1.0)
    begun = await send(client, "POST", f"/people/{holder}/camera", {"camera": "board"})
    await state(client, begun["id"], "ended")
    assert cameras.closed


async def test_nobody_is_enrolled_by_a_registrar_who_was_disabled_meanwhile(house, client, cameras):
    await sign_in(client, "registrar")
    holder = await house.consented()
    begun = await send(client, "POST", f"/people/{holder}/camera", {"camera": "board"})
    cameras.looking.ready.set()
    await state(client, begun["id"], "looking")
    (registrar,) = [one for one in await house.accounts.list() if one.role == "registrar"]
    await house.accounts.set_disabled(registrar.id, True)
    for number in range(5):
        cameras.take("lin", number)
    await until(lambda: cameras.closed)
    assert house.enrolment.sessions.watch(begun["id"]).state == "ended"
    assert await house.known() == frozenset()


async def test_a_worker_that_is_lost_ends_the_session_with_why(house, client, cameras):
    await sign_in(client)
    holder = await house.consented()
    begun = await send(client, "POST", f"/people/{holder}/camera", {"camera": "board"})
    cameras.looking.trouble = "the camera worker ended by SIGSEGV"
    cameras.looking.lost.set()
    told = await state(client, begun["id"], "failed")
    assert "SIGSEGV" in told["message"]


@pytest.mark.parametrize("event", [
    {"vector": "no base64", "quality": [1] * 7}, {"vector": "AAAA", "quality": "x"}, {"guidance": "blurred"},
    {"guidance": []}, {"guidance": [7]}, {"guidance": ["no such word"]}, {}, {"vector": None, "quality": None},
])  # fmt: skip
async def test_nonsense_of_the_worker_takes_no_picture(house, client, cameras, event):
    await sign_in(client)
    holder = await house.consented()
    begun = await send(client, "POST", f"/people/{holder}/camera", {"camera": "board"})
    cameras.looking.ready.set()
    before = await state(client, begun["id"], "looking")
    cameras.say(**event)
    after = await send(client, "GET", f"/sessions/{begun['id']}")
    assert (after["have"], after["state"], after["message"]) == (0, "looking", before["message"])
    await send(client, "POST", f"/sessions/{begun['id']}/end", {})


async def test_a_camera_that_is_not_there_is_said(house, client, cameras):
    await sign_in(client)
    holder = await house.consented()
    told = await send(client, "POST", f"/people/{holder}/camera", {"camera": "roof"}, 404)
    assert told["error"] == "face.camera.unknown"
    assert (await send(client, "GET", "/sessions/" + "0" * 32, status=404))[
        "error"
    ] == "face.camera.no_session"


# --------------------------------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_the_pages_show_what_the_api_tells(house, client, language):
    await sign_in(client)
    holder = await house.enrolled("lin")
    other = await house.person("0402", "王五")
    receipt = await house.enrolment.withdraw(
        SimpleNamespace(actor=house.ACTOR, account=None), await house.enrolled("wang", "0403")
    )
    headers = {"Accept-Language": language}

    async def page(path):
        answer = await client.get(path, headers=headers)
        assert answer.status == 200
        return await answer.text()

    t = lambda key, **values: house.messages.t(language, key, **values)  # noqa: E731
    assert t("face.page.totals") in await page("/face")
    assert t("face.page.is_enrolled", count=3) in await page(f"/face/people/{holder}")
    asked = await page(f"/face/people/{other}")
    assert t("face.page.not_enrolled") in asked
    assert t("face.consent.text.1").splitlines()[1] in asked.replace("&#39;", "'")
    assert t("face.receipt.controllers.none") in await page(f"/face/receipts/{receipt.id}")


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_every_route_is_described_in_both_languages(house, language):
    from menwei_face import api, api_camera, api_mine

    routes = [*api.routes(), *api_camera.routes(), *api_mine.routes()]
    told = describe(routes, "face", lambda key, **values: house.messages.t(language, key, **values))
    assert {method["summary"] for path in told["paths"].values() for method in path.values()} == {
        house.messages.t(language, route.summary) for route in routes
    }
