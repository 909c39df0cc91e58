"""Tablets and installers over HTTP: pairing, what a tablet sees and what it does not, typed numbers, revoking."""

# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar
from aiohttp.test_utils import TestClient, TestServer
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from menwei import AccessPoint, CredentialIdentifier, Feedback, FeedbackKind, IdentifierType, Passage
from menwei.model import LevelInForce
from menwei.openapi import describe
from menwei.site import security_level
from menwei.web import Listen, Server, application
from menwei_screen import service
from menwei_screen.driver import AWAY, NoLock, Screen, ScreenConfig
from menwei_screen.lines import Line
from menwei_screen.models import Typed
from menwei_screen.service import View
from menwei_screen.tables import TABLES, metadata
from screen_house import BASE, ScreenHouse, Tablet, screen_house
from small_house import HOUSE, empty_house, sign_in  # noqa: F401
from waiting import until

pytestmark = pytest.mark.slow

DENIED = Feedback(FeedbackKind.DENIED, "door.not_registered")


@pytest.fixture
async def house(tmp_path, empty_house, monkeypatch):
    monkeypatch.setattr(service, "BEAT", 0.05)
    shutil.copytree(empty_house, tmp_path, dirs_exist_ok=True)
    async with screen_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def client(house: ScreenHouse):
    app = application(house, [route for plugin in house.plugins.values() for route in plugin.routes])
    app[HOUSE] = house
    async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True)) as opened:
        yield opened


@pytest.fixture
async def tablet(client):
    async with Tablet(str(client.make_url("")).rstrip("/")) as opened:
        yield opened


def another(tablet: Tablet) -> Tablet:
    return Tablet(tablet.url)


async def test_the_migration_makes_the_declared_table(house):
    def differences(connection):
        options = {"include_object": lambda thing, name, kind, *_: kind != "table" or name in TABLES}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with house.rights.store.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_routes_are_described_in_both_languages(house):
    routes = [route for plugin in house.plugins.values() for route in plugin.routes]
    for language in ("zh-CN", "en"):
        text = describe(routes, "t", lambda key, language=language: house.messages.t(language, key))
        assert f"{BASE}/pair" in text["paths"]


# ------------------------------------------------------------------------------------------------------------- pairing


async def test_an_installer_pairs_the_tablet_that_shows_the_code(house, client, tablet):
    assert not await tablet.begin()
    await tablet.look()
    await until(lambda: "code" in tablet.state)
    assert set(tablet.state) == {"code"}, "a tablet that is not paired learns nothing of the site"
    await sign_in(client, "installer")
    code = tablet.state["code"]
    answer = await client.post(f"{BASE}/pair", json={"screen": "gate-in", "code": f"{code[:3]} {code[3:]}"})
    assert await answer.json() == {"screen": "tablet-1", "access_point": "gate-in"}
    await until(lambda: tablet.state.get("screen") == "tablet-1")
    assert (tablet.state["door"], tablet.state["side"], tablet.state["asks"]) == (
        "小区门",
        "进",
        ["card", "pin"],
    )
    (told,) = [entry for entry in await house.audits() if entry["action"] == "screen.pair"]
    assert (told["screen"], told["actor"]) == ("tablet-1", "the installer")
    assert code not in str(await house.audits())


@pytest.mark.parametrize("role", ["guard", "registrar", "tenant", "auditor"])
async def test_nobody_else_pairs_sees_or_revokes_screens(house, client, role):
    await sign_in(client, role)
    assert (await client.get(BASE)).status == 403
    for path, body in (("pair", {"screen": "gate-in", "code": "1"}), ("revoke", {"screen": "gate-in"})):
        assert (await client.post(f"{BASE}/{path}", json=body)).status == 403


async def test_a_code_that_no_tablet_shows_pairs_nothing(house, client):
    await sign_in(client)
    answer = await client.post(f"{BASE}/pair", json={"screen": "gate-in", "code": "000000"})
    assert (answer.status, (await answer.json())["error"]) == (404, "screen.no_such_code")
    answer = await client.post(f"{BASE}/pair", json={"screen": "gate-out", "code": "000000"})
    assert (answer.status, (await answer.json())["error"]) == (404, "screen.no_such_screen")
    assert not house.screens.is_paired("tablet-1")


async def test_a_stranger_who_follows_again_and_again_leaves_room_for_a_tablet_to_be_paired(
    house, client, tablet, monkeypatch
):
    monkeypatch.setattr("menwei.streams.MOST", 6)
    async with another(tablet) as stranger:
        await stranger.begin()
        (digest,) = house.screens.pairings._waiting
        streams = []
        for _ in range(20):
            streams.append(await stranger.session.get(f"{stranger.url}{BASE}/events"))
            await until(lambda: house.screens._streams[digest] == 1)
        assert {stream.status for stream in streams} == {200}
        for stream in streams[:-1]:
            assert "event: elsewhere" in (await stream.text())
        await tablet.begin()
        assert await tablet.look() == 200
        await until(lambda: "code" in tablet.state)
        for stream in streams:
            stream.close()


async def test_a_paired_tablet_may_have_more_than_one_stream(house, tablet):
    await tablet.paired(house.screens, "gate-in")
    (digest, _) = house.screens._known["tablet-1"]
    again = await tablet.session.get(f"{tablet.url}{BASE}/events")
    await until(lambda: house.screens._streams[digest] == 2)
    beats = tablet.beats
    await until(lambda: tablet.beats > beats + 2)
    assert house.screens._streams[digest] == 2
    again.close()


async def test_a_code_entered_twice_at_once_pairs_one_screen(house, tablet):
    await tablet.begin()
    await tablet.look()
    await until(lambda: "code" in tablet.state)
    both = (house.screens.pair(where, tablet.state["code"]) for where in ("gate-in", "unit-in"))
    first, second = await asyncio.gather(*both, return_exceptions=True)
    assert (first, second.says) == ("tablet-1", "screen.no_such_code")


async def test_a_paired_tablet_is_one_after_a_restart_and_its_token_is_stored_nowhere(
    house, tablet, tmp_path
):
    await tablet.paired(house.screens, "gate-in")
    (token,) = [cookie.value for cookie in tablet.session.cookie_jar]
    house.screens._paired = None  # as after a start
    assert await tablet.begin()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert [file.name for file in files if token.encode() in file.read_bytes()] == []


async def test_a_new_tablet_takes_the_place_of_the_one_before(house, tablet):
    await tablet.paired(house.screens, "gate-in")
    async with another(tablet) as second:
        await second.paired(house.screens, "tablet-1")
        await until(lambda: tablet.gone)
        assert await tablet.look() == 401


async def test_a_revoked_tablet_sees_nothing_more_and_begins_as_a_stranger(house, client, tablet):
    await tablet.paired(house.screens, "unit-in")
    await sign_in(client, "installer")
    answer = await client.post(f"{BASE}/revoke", json={"screen": "unit-in"})
    assert answer.status == 200
    await until(lambda: tablet.gone)
    assert (await tablet.look(), await tablet.type("1234")) == (401, 401)
    assert not await tablet.begin()
    await tablet.look()
    await until(lambda: "code" in tablet.state)
    again = await client.post(f"{BASE}/revoke", json={"screen": "unit-in"})
    assert (await again.json())["error"] == "screen.not_paired"


async def test_the_tablets_cookie_is_kept_from_scripts_and_from_other_sites(house, tablet):
    async with tablet.session.post(f"{tablet.url}{BASE}/begin", json={}) as answer:
        cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("menwei-screen=")
    assert {"HttpOnly", "Path=/", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}


async def test_over_tls_the_cookie_is_bound_to_this_host_and_to_tls(house, tmp_path):
    certificate, key = write_certificate(tmp_path)
    routes = [route for plugin in house.plugins.values() for route in plugin.routes]
    server = Server(
        application(house, routes, loopback=False), Listen(port=0, certificate=certificate, key=key)
    )
    await server.start()
    try:
        async with (
            ClientSession() as session,
            session.post(f"{server.url}{BASE}/begin", json={}, ssl=False) as answer,
        ):
            cookie = answer.headers["Set-Cookie"]
    finally:
        await server.stop()
    assert cookie.startswith("__Host-menwei-screen=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of nobody's for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "menwei test")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1)
    ).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return folder / "cert.pem", folder / "key.pem"


async def test_another_sites_page_cannot_type_or_begin(house, tablet):
    await tablet.paired(house.screens, "unit-in")
    for path, body in (("digits", {"digits": "1234"}), ("begin", {})):
        async with tablet.session.post(
            f"{tablet.url}{BASE}/{path}", json=body, headers={"Origin": "https://evil.example"}
        ) as answer:
            assert answer.status == 403


async def test_a_tablets_token_opens_nothing_else(house, tablet):
    await tablet.paired(house.screens, "gate-in")
    (token,) = [cookie.value for cookie in tablet.session.cookie_jar]
    async with ClientSession() as other:
        for path in ("/api/doors", "/api/events", "/api/people", BASE):
            for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"menwei={token}"}):
                async with other.get(tablet.url + path, headers=headers) as answer:
                    assert answer.status == 401, path
            async with tablet.session.get(tablet.url + path) as answer:
                assert answer.status == 401, path


@pytest.mark.parametrize("cookie", ["", "x", "mw_" + "a" * 43, "\N{SNOWMAN}".encode().hex()])
async def test_who_has_no_token_of_a_tablet_sees_and_types_nothing(house, tablet, cookie):
    async with ClientSession(cookies={"menwei-screen": cookie}) as other:
        async with other.get(f"{tablet.url}{BASE}/events") as answer:
            assert answer.status == 401
        async with other.post(f"{tablet.url}{BASE}/digits", json={"digits": "1"}) as answer:
            assert answer.status == 401


# ------------------------------------------------------------------------------------------------------------- showing


async def test_a_screen_shows_its_own_access_points_feedback_and_no_others(house, tablet):
    await tablet.paired(house.screens, "gate-in")
    async with another(tablet) as second:
        await second.paired(house.screens, "unit-in")
        house.show("gate-in", DENIED)
        await until(lambda: tablet.title == "未注册信息")
        house.show("unit-in", Feedback(FeedbackKind.GRANTED, "door.granted"))
        await until(lambda: second.title == "请进")
        assert [s["result"]["kind"] for _, _, s in second.events if s.get("result")] == ["granted"]
        assert tablet.title == "未注册信息"


@pytest.mark.parametrize(
    ("level", "asks"),
    [
        ("Card", ["card"]),
        ("Card and Face", ["card"]),
        ("Face or Card and PIN", ["card", "face"]),
        ("PIN and Face", ["pin"]),
        ("Face or QRCode or PIN or Card", ["card", "qrcode", "pin", "face"]),
    ],
)
def test_the_prompt_names_what_one_may_begin_with(level, asks):
    point = AccessPoint("gate-in", "gate", "进", (LevelInForce(security_level(level)),))
    assert [str(kind).lower() for kind in View("", point=point).asks] == asks


async def test_a_screen_begins_in_the_sites_language_or_its_own(house, tablet):
    await tablet.paired(house.screens, "gate-in")
    async with another(tablet) as second:
        await second.paired(house.screens, "unit-in")
        assert (tablet.state["language"], second.state["language"]) == ("zh-CN", "en")


async def test_a_result_vanishes_and_a_tablet_that_comes_back_sees_what_is_true_now(house, tablet):
    await tablet.paired(house.screens, "gate-in")
    house.show("gate-in", DENIED)
    await until(lambda: tablet.title)
    (seen,) = [(id, s["result"]) for _, id, s in tablet.events if s.get("result")]
    house.now += 4
    await tablet.look(last=seen[0])
    await until(lambda: len([s for _, _, s in tablet.events if s.get("result")]) == 2)
    name, id, state = tablet.events[-1]
    assert (name, id, state["result"]["number"]) == ("state", seen[0], seen[1]["number"]), (
        "said aloud already"
    )
    assert state["result"]["seconds"] == pytest.approx(seen[1]["seconds"] - 4)
    house.now += 10
    await until(lambda: not tablet.title)
    await tablet.look(last=seen[0])
    before = len(tablet.events)
    await until(lambda: len(tablet.events) > before)
    assert tablet.title == ""


async def test_the_stream_gives_signs_of_life(house, tablet):
    await tablet.paired(house.screens, "gate-in")
    await until(lambda: tablet.beats > 3)


async def test_no_name_and_no_number_reaches_a_screen(house, tablet):
    await tablet.paired(house.screens, "gate-in")
    card = CredentialIdentifier(IdentifierType.CARD, "uid", "04A1B2C3")
    async with house.rights.store.transaction() as tx:
        await house.people.add(
            "林晓", cards=[card], profiles=["residents"], actor=house.ACTOR, tx=tx, valid_from=0.0
        )
    house.hub.submit = house.submit
    house.hub.read("board", "in", card, None)
    await until(lambda: tablet.title == "请进")
    text = str(tablet.events)
    assert "林晓" not in text
    assert "04A1B2C3" not in text


async def test_the_screens_fault_is_told_when_its_tablet_stays_away_and_when_it_is_back(
    house, tablet, monkeypatch
):
    monkeypatch.setattr("menwei_screen.driver.LOOK", 0.02)
    await tablet.paired(house.screens, "gate-in")
    await tablet.look_away()
    await until(lambda: not house.screens.is_connected("tablet-1"))
    house.now += AWAY / 2
    assert house.repairs_of("tablet-1") == []
    house.now += AWAY
    await until(lambda: house.repairs_of("tablet-1") == ["screen.repair.away"])
    await tablet.look()
    await until(lambda: house.repairs_of("tablet-1") == [])
    await house.audit(house.ACTOR, "done", {})
    faults = [entry.data for entry in await house.journal.read(kinds={"Fault"})]
    assert [(f["device"], f["part"], f["active"]) for f in faults] == [
        ("tablet-1", "screen", True),
        ("tablet-1", "screen", False),
    ]


async def test_the_installer_is_told_of_a_screen_without_a_tablet_or_a_place(house):
    assert house.repairs_of("tablet-1") == ["screen.repair.unpaired"]
    house.site = replace(house.site, access_points={})
    assert house.repairs_of("tablet-1") == ["screen.repair.nowhere"]


async def test_a_screen_has_no_lock(house):
    driver = house.screens_supervisor.driver("tablet-1")
    with pytest.raises(NoLock):
        await driver.access("1", 3.0, house.now + 2)
    assert (await Screen.probe(ScreenConfig())).locks == ()


# -------------------------------------------------------------------------------------------------------------- typing


async def test_a_number_typed_on_the_screen_goes_the_way_of_every_keypads(house, tablet):
    await tablet.paired(house.screens, "unit-in")
    requests = []
    house.hub.submit = requests.append
    assert await tablet.type("40719382") == 200
    (request,) = requests
    assert (request.access_point, request.received) == ("unit-in", house.now)
    assert [(i.type, i.value) for i in request.identifiers] == [(IdentifierType.PIN, "40719382")]


async def test_guessing_on_the_screen_is_suspended_as_at_every_keypad(house, tablet):
    await tablet.paired(house.screens, "unit-in")
    house.hub.submit = house.submit
    for number in range(6):
        assert await tablet.type(f"{number}0000000") == 200
        await until(lambda: tablet.title)
        house.now += 10
        await until(lambda: not tablet.title)
    assert await house.journal.read(kinds={"CodesSuspended"})


async def test_a_screen_without_a_keypad_takes_no_number(house, tablet):
    await tablet.paired(house.screens, "gate-in")
    house.hub.submit = None
    assert await tablet.type("1234") == 403


async def test_a_tablet_gone_mad_is_slowed(house, tablet):
    await tablet.paired(house.screens, "unit-in")
    taken = []
    house.hub.submit = taken.append
    answers = {await tablet.type("1") for _ in range(25)}
    assert answers == {200, 429}
    assert len(taken) == 20


NONSENSE = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=40).map(str.encode),
    st.sampled_from(
        ['{"digits": "１２３４"}', '{"digits": 1234}', '{"digits": "1\\n"}', '{"digits": ""}']
    ).map(str.encode),
)


@settings(max_examples=settings.default.max_examples * 2)
@given(NONSENSE)
def test_what_is_no_number_reaches_no_door(raw):
    try:
        typed = Typed.model_validate_json(raw, strict=True)
    except ValidationError:
        return
    assert re.fullmatch("[0-9]{1,16}", typed.digits)


# ------------------------------------------------------------------------------------------------- what plugins give it


def passage(point="gate-in", **more):
    return Passage(point, "gate", "", "", None, frozenset(), 0.0, **more)


async def test_a_plugin_gives_a_line_for_whoever_passed_and_it_is_shown_in_both_languages(house, tablet):
    await tablet.paired(house.screens, "gate-in")
    line = Line("screen.paired", {"screen": "1"})
    house.screens.greet(passage(), line)
    house.show("gate-in", Feedback(FeedbackKind.GRANTED, "door.granted"))
    await until(lambda: tablet.title)
    assert tablet.state["result"]["lines"] == [{"zh-CN": "已配对：1", "en": "Paired: 1"}]


async def test_what_explain_asks_greets_nobody(house, tablet):
    await tablet.paired(house.screens, "gate-in")
    house.screens.greet(passage(dry_run=True), Line("screen.none"))
    house.show("gate-in", Feedback(FeedbackKind.GRANTED, "door.granted"))
    await until(lambda: tablet.title)
    assert tablet.state["result"]["lines"] == []


async def test_a_notice_of_the_door_is_on_its_screens_until_it_is_taken_back(house, tablet):
    house.screens.notice("gate-in", "lift", Line("screen.none"))
    await tablet.paired(house.screens, "gate-in")
    assert len(tablet.state["notices"]) == 1
    await house.screens_supervisor.restart("tablet-1")
    await until(lambda: tablet.state.get("screen") and tablet.state["notices"])
    house.screens.notice("gate-in", "lift", None)
    await until(lambda: tablet.state.get("screen") and not tablet.state["notices"])
    with pytest.raises(KeyError):
        house.screens.notice("nowhere", "lift", None)


async def test_a_screen_that_is_hung_at_another_door_shows_that_doors_notices(house, tablet):
    house.screens.notice("gate-in", "lift", Line("screen.none"))
    await tablet.paired(house.screens, "gate-in")
    await until(lambda: tablet.state["notices"])
    points = dict(house.site.access_points)
    screen = ("tablet-1", "screen")
    points["gate-in"] = replace(points["gate-in"], readers=())
    points["gate-out"] = replace(points["gate-out"], readers=(*points["gate-out"].readers, screen))
    house.site = replace(house.site, access_points=points)
    await until(lambda: tablet.state.get("screen") and not tablet.state["notices"])
    house.screens.notice("gate-out", "paint", Line("screen.none"))
    await until(lambda: tablet.state["notices"])
    house.screens.notice("gate-in", "lift", None)
    house.screens.notice("gate-out", "paint", None)
    await until(lambda: not tablet.state["notices"])
