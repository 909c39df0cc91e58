"""What a plugin is handed: only what its manifest declares and the config allows, and never more than that."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, select, text

from menwei import (
    Actor,
    CredentialIdentifier,
    CredentialState,
    IdentifierType,
    PutCredential,
    PutIdentifier,
    RightsError,
    Service,
    SetState,
)
from menwei.background import ServiceRunner, in_order
from menwei.granting import OwnReading, OwnTransaction, require_own
from menwei.house import Menwei
from menwei.keys import WrapCost
from menwei.loader import LoadedPlugin, PluginState
from menwei.manifest import Manifest
from menwei.schema import credentials
from plugin_folder import plugins  # noqa: F401

LIN = CredentialIdentifier(IdentifierType.CARD, "uid", "A1A1A1A1")
DESK = Actor("周", "registrar")

MANIFEST = """\
name: {name}
version: 1.0.0
api: ">=1,<2"
summary: {{zh: 测试, en: a test}}
permissions: {permissions}
"""

TABLES = """
from sqlalchemy import Column, Integer, MetaData, Table
SAID = {"personal": False, "retention": "site"}
metadata = MetaData()
visits = Table("desk_visits", metadata, Column("id", Integer, primary_key=True, info=SAID), info={"subject": "site"})

class Desk(Service):
    "Keeps visits; refuses credentials that begin in 1970."
    name = "desk"
    class Config(menwei.Config):
        greeting: str = "hello"
    async def review(self, tx, changes, actor):
        await tx.execute(visits.select())
        for change in changes:
            if isinstance(change, PutCredential) and change.valid_from == 0.0:
                raise InvalidValidity("not in 1970")
            if isinstance(change, PutCredential) and change.valid_from == 13.0:
                raise ZeroDivisionError("a mistake in the plugin")

@hookimpl
def register_schema():
    return metadata

@hookimpl
def register_services():
    return [Desk]
"""

MIGRATION = """
import sqlalchemy as sa
from alembic import op
revision = "a1"
down_revision = None
def upgrade():
    op.create_table("desk_visits", sa.Column("id", sa.Integer(), primary_key=True))
"""

ASKS = "{facts: [AccessGranted], publishes: [Visited], rights: true, doors: true, tables: [desk_visits]}"


def write_desk(plugins, permissions=ASKS, code=TABLES):  # noqa: F811
    home = plugins.package(
        "menwei_desk", code, manifest=MANIFEST.format(name="desk", permissions=permissions)
    )
    (home / "migrations" / "versions").mkdir(parents=True)
    (home / "migrations" / "versions" / "a1.py").write_text(MIGRATION)


@asynccontextmanager
async def opened(folder, plugins_section):
    (folder / "config.yaml").write_text(
        f"site: {{id: yard}}\ndata: var\nplugins: {plugins_section}\n", "utf-8"
    )
    house = await Menwei.open(folder / "config.yaml")
    try:
        yield house
    finally:
        await house.stop()


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch):
    """What is tested here is not how long guessing takes."""
    monkeypatch.setattr("menwei.accounts.WrapCost", lambda: WrapCost(1, 8, 1))


@pytest.fixture
async def house(plugins, tmp_path):  # noqa: F811
    write_desk(plugins)
    async with opened(tmp_path, "{desk: {allow: [rights, doors]}}") as opened_house:
        yield opened_house


def context_of(house, plugin="desk"):
    return house.context(house.plugins[plugin])


def visits_of(house):
    return house.plugins["desk"].schema.tables["desk_visits"]


# ------------------------------------------------------------------------------------------------------- permissions


async def test_what_the_config_does_not_allow_is_not_handed_over(plugins, tmp_path):  # noqa: F811
    write_desk(plugins)
    async with opened(tmp_path, "{desk: {}}") as house:
        context = context_of(house)
        for permission in ("rights", "people", "doors"):
            with pytest.raises(PermissionError, match=permission):
                getattr(context, permission)
        assert context.tables is not None
        assert context.site.zone.key == "Asia/Shanghai"


async def test_a_person_and_a_card_are_entered_together_with_the_plugins_own_row(house):
    context = context_of(house)
    async with context.tables.transaction() as tx:
        await tx.execute(visits_of(house).insert(), [{"id": 7}])
        holder = await context.people.add(tx, "林")
        card = await context.people.add_credential(tx, holder, [LIN], profiles=(), valid_from=5.0, by=DESK)
    assert context.rights.find(LIN).id == card
    assert [c.id for c in context.rights.of_holder(holder)] == [card]
    async with context.tables.read() as connection:
        assert (await connection.execute(select(visits_of(house).c.id))).scalars().all() == [7]


async def test_rights_and_rows_roll_back_together(house):
    context = context_of(house)
    with pytest.raises(RuntimeError, match="changed my mind"):
        async with context.tables.transaction() as tx:
            holder = await context.people.add(tx, "林")
            await context.people.add_credential(tx, holder, [LIN], profiles=(), valid_from=5.0)
            await tx.execute(visits_of(house).insert(), [{"id": 7}])
            raise RuntimeError("changed my mind")
    assert context.rights.find(LIN) is None
    async with context.tables.read() as connection:
        assert (await connection.execute(select(visits_of(house).c.id))).scalars().all() == []


async def test_the_log_of_changes_names_the_plugin_and_whom_it_acted_for(house):
    context = context_of(house)
    async with context.tables.transaction() as tx:
        await context.people.add(tx, "林")
        await context.people.add(tx, "王", by=DESK)
    actors = [revision.actor for revision in await house.rights.history()]
    assert actors == [Actor("desk", "plugin", "plugin"), Actor("周", "registrar", "plugin:desk")]


async def test_a_transaction_of_somebody_else_is_not_taken_for_the_plugins(house):
    context = context_of(house)
    async with house.store.transaction() as tx:
        with pytest.raises(TypeError, match=r"Context\.tables"):
            await context.rights.apply(tx, [])


@pytest.mark.parametrize(
    "statement",
    [
        credentials.select(),
        credentials.delete(),
        credentials.update().values(state="Enabled"),
        credentials.insert(),
        select(credentials.c.id),
        select(1).where(select(credentials.c.id).exists()),
    ],
)
async def test_a_plugin_does_not_reach_tables_that_are_not_its_own(house, statement):
    context = context_of(house)
    async with context.tables.transaction() as tx:
        assert isinstance(tx, OwnTransaction)
        with pytest.raises(PermissionError, match="credentials"):
            await tx.execute(statement)
    async with context.tables.read() as connection:
        assert isinstance(connection, OwnReading)
        with pytest.raises(PermissionError, match="credentials"):
            await connection.execute(statement)


def test_a_table_of_the_same_name_or_a_text_does_not_get_round_that():
    own = MetaData()
    mine = Table("desk_visits", own, Column("id", Integer))
    other = Table("desk_visits", MetaData(), Column("id", Integer))
    require_own("desk", own, select(mine))
    with pytest.raises(PermissionError, match="not this plugin's"):
        require_own("desk", own, select(other))
    with pytest.raises(PermissionError, match="as text"):
        require_own("desk", own, text("SELECT * FROM accounts"))
    with pytest.raises(PermissionError, match="as text"):
        require_own("desk", own, select(mine.c.id).where(text("1 IN (SELECT id FROM accounts)")))


async def test_a_blind_hash_is_the_plugins_own(house):
    blind = context_of(house).tables.blind("A-17")
    assert blind == context_of(house).tables.blind("A-17")
    assert blind != house.keys.blind("A-17")
    assert b"A-17" not in blind


# -------------------------------------------------------------------------------------------------------------- facts


async def test_a_plugin_writes_only_the_kinds_it_declared_and_under_its_own_name(house):
    facts = context_of(house).facts
    place = await facts.record("Visited", door="gate", data={"times": 2}, personal={"holder": 5})
    assert place is not None
    (entry,) = await house.journal.read(kinds={"menwei_desk.Visited"}, personal=True)
    assert (str(entry.position), entry.door, entry.data, entry.personal) == (
        place,
        "gate",
        {"times": 2},
        {"holder": 5},
    )
    for kind in ("AccessGranted", "menwei_desk.Visited", "Audit"):
        with pytest.raises(PermissionError, match="publishes"):
            facts.publish(kind)


async def test_a_plugin_reads_its_own_kinds_and_those_it_declared_without_anything_personal(house):
    facts = context_of(house).facts
    await facts.record("Visited", data={"times": 2}, personal={"holder": 5})
    (fact,) = await facts.read({"menwei_desk.Visited", "AccessGranted"})
    assert (fact.kind, fact.data) == ("menwei_desk.Visited", {"times": 2})
    assert not hasattr(fact, "personal")
    with pytest.raises(PermissionError, match="Audit"):
        await facts.read({"Audit"})


async def test_hearing_begins_with_the_call_and_keeps_no_place(house):
    facts = context_of(house).facts
    await facts.record("Visited", data={"n": 1})
    stream = facts.hear({"menwei_desk.Visited"})
    await facts.record("Visited", data={"n": 2})
    assert (await asyncio.wait_for(anext(stream), 60)).data["n"] == 2
    await stream.aclose()
    assert not [name for name in house.journal.cursors if "desk" in name]


async def test_following_goes_on_after_a_restart_where_it_was(house):
    facts = context_of(house).facts

    async def next_of(stream):
        return (await asyncio.wait_for(anext(stream), 60)).data["n"]

    stream = facts.follow("counter", {"menwei_desk.Visited"})
    first = asyncio.ensure_future(next_of(stream))
    await asyncio.sleep(0)
    for n in (1, 2, 3):
        await facts.record("Visited", data={"n": n})
    assert await first == 1
    assert await next_of(stream) == 2  # asking for the second says that the first was worked on
    await stream.aclose()
    again = facts.follow("counter", {"menwei_desk.Visited"})
    assert await next_of(again) == 2  # the second was being worked on: it comes again
    await again.aclose()


# ----------------------------------------------------------------------------------------------------------- services


async def test_a_service_is_found_by_its_class_with_the_plugins_options(plugins, tmp_path):  # noqa: F811
    write_desk(plugins)
    other = MANIFEST.format(name="guest", permissions="{}")
    plugins.package("menwei_guest", manifest=other)
    friend = MANIFEST.format(name="friend", permissions="{services: [desk]}")
    plugins.package("menwei_friend", manifest=friend)
    async with opened(tmp_path, "{desk: {greeting: 你好}, guest: {}, friend: {}}") as house:
        cls = house.plugins["desk"].services[0]
        service = house.service(cls)
        assert service.config.greeting == "你好"
        assert context_of(house).service(cls) is service
        assert context_of(house, "friend").service(cls) is service
        with pytest.raises(PermissionError, match="desk is not declared"):
            context_of(house, "guest").service(cls)


def test_a_service_is_made_behind_those_its_manifest_names_however_the_config_orders_them():
    def plugin(name: str, *uses: str) -> LoadedPlugin:
        words = {"name": name, "version": "1", "api": ">=1", "summary": {"zh": "测试", "en": "a test"}}
        manifest = Manifest.model_validate(words | {"permissions": {"services": list(uses)}})
        return LoadedPlugin(name, manifest, PluginState.OK)

    def order(*configured: LoadedPlugin) -> list[str]:
        return [one.name for one in in_order({one.name: one for one in configured})]

    guests, homes, desk = plugin("guests", "homes", "absent"), plugin("homes", "desk"), plugin("desk")
    assert order(guests, homes, desk) == ["desk", "homes", "guests"]
    assert order(desk, homes, guests) == ["desk", "homes", "guests"]
    assert order(plugin("a"), plugin("b")) == ["a", "b"]
    assert order(plugin("a", "b"), plugin("b", "a", "b")) == ["b", "a"], (
        "both know each other: neither waits for ever"
    )


async def test_a_service_that_cannot_be_made_is_a_repair_and_lets_no_right_be_given(plugins, tmp_path):  # noqa: F811
    code = TABLES.replace(
        "class Config(menwei.Config)",
        "def __init__(self, *_): raise OSError('no desk')\n    class Config(menwei.Config)",
    )
    write_desk(plugins, code=code)
    async with opened(tmp_path, "{desk: {allow: [rights]}}") as house:
        with pytest.raises(LookupError):
            house.service(house.plugins["desk"].services[0])
        (repair,) = [repair for repair in house.repairs() if repair.key == "service:desk.desk"]
        assert "no desk" in house.messages.t("en", repair.message, **repair.values)
        holder = await house.people.add("林", actor=DESK)
        with pytest.raises(RightsError) as refused:
            await house.people.add_credential(holder, [LIN], actor=DESK)
        assert refused.value.says == "rights.not_reviewed"


async def test_wrong_options_of_a_service_are_told_with_their_place(plugins, tmp_path):  # noqa: F811
    from menwei.checking import check_all

    write_desk(plugins)
    async with opened(tmp_path, "{desk: {greetings: 你好}}") as house:
        assert [problem.path for problem in house.option_problems] == ["plugins.desk.greetings"]
    assert [problem.path for problem in check_all(tmp_path / "config.yaml")] == ["plugins.desk.greetings"]


async def test_a_review_refuses_a_change_of_anybody_and_nothing_of_it_is_done(house):
    with pytest.raises(RightsError, match="not in 1970"):
        await house.people.add("林", cards=[LIN], valid_from=0.0, actor=DESK)
    assert len(house.rights.snapshot) == 0
    assert await house.people.list() == []


async def test_a_review_that_fails_refuses_and_taking_away_is_never_asked_about(house):
    holder = await house.people.add("林", cards=[LIN], valid_from=5.0, actor=DESK)
    card = house.rights.snapshot.of_holder(holder)[0].id
    with pytest.raises(RightsError, match="a mistake in the plugin") as refused:
        await house.people.set_validity(card, 13.0, 20.0, actor=DESK)
    assert refused.value.says == "rights.not_reviewed"

    async def never(tx, changes, actor):
        raise AssertionError("asked about taking a right away")

    house.rights.reviews[:] = [never]
    for state in (CredentialState.LOST, CredentialState.DISABLED, CredentialState.ENDED):
        await house.people.set_state(card, state, actor=DESK)
    await house.people.end(holder, actor=DESK)
    asked = []

    async def asked_about(tx, changes, actor):
        asked.extend(type(change) for change in changes)

    house.rights.reviews[:] = [asked_about]
    wang = await house.people.add("王", cards=[LIN], valid_from=5.0, actor=DESK)
    await house.people.set_state(
        house.rights.snapshot.of_holder(wang)[0].id, CredentialState.ENABLED, actor=DESK
    )
    assert list(dict.fromkeys(asked)) == [PutCredential, PutIdentifier, SetState]


class Flaky(Service):
    """Fails twice, then works until it is ended."""

    name = "flaky"

    def __init__(self, errors):
        self.errors = list(errors)
        self.working = asyncio.Event()
        self.ended = False

    async def run(self):
        if self.errors:
            raise self.errors.pop(0)
        self.working.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def test_a_service_that_fails_begins_again_and_its_trouble_is_shown():
    service = Flaky([ValueError("no"), SystemExit(3)])
    runner = ServiceRunner("desk.flaky", service, first_retry=0.01)
    task = asyncio.create_task(runner.run())
    await asyncio.wait_for(service.working.wait(), 60)
    assert [repair.key for repair in runner.repairs()] == ["service:desk.flaky"]
    task.cancel()
    await asyncio.wait({task})
    assert service.ended


async def test_a_service_without_background_work_ends_quietly():
    class Idle(Service):
        """Nothing to do."""

        name = "idle"

        def __init__(self):
            pass

    runner = ServiceRunner("desk.idle", Idle())
    await asyncio.wait_for(runner.run(), 60)
    assert runner.repairs() == []


async def test_services_run_beside_the_doors_and_end_with_the_house(plugins, tmp_path):  # noqa: F811
    code = (
        TABLES
        + """
    import asyncio
    class Ticker(Service):
        "Says that it began."
        name = "ticker"
        class Config(menwei.Config):
            greeting: str = ""
        ended = False
        async def run(self):
            await self.context.facts.record("Visited")
            try:
                await asyncio.Event().wait()
            finally:
                Ticker.ended = True

    @hookimpl(specname="register_services")
    def services():
        return [Desk, Ticker]
    """
    )
    code = code.replace("@hookimpl\ndef register_services():\n    return [Desk]\n", "")
    import textwrap

    head, tail = code.split("\n    import asyncio\n")
    write_desk(plugins, code=head + "\nimport asyncio\n" + textwrap.dedent(tail))
    async with opened(tmp_path, "{desk: {allow: [rights]}}") as house:
        await house.start()
        async with asyncio.timeout(60):
            async for batch in house.journal.follow(kinds={"menwei_desk.Visited"}):
                assert len(batch) == 1
                break
        ticker = next(cls for cls in house.plugins["desk"].services if cls.name == "ticker")
    assert ticker.ended
