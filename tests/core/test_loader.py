"""Loading plugins: only what is configured, one at a time, every failure named."""

import sys

import pytest

from menwei.loader import PluginState, load, plugins_table
from plugin_folder import DRIVER, MANIFEST, plugins  # noqa: F401

pytestmark = pytest.mark.usefixtures("plugins")


def one(name):
    return load([name])[name]


def test_a_plugin_in_order_is_loaded_with_its_classes(plugins):  # noqa: F811
    plugins.package("menwei_good", DRIVER.format(driver="good"))
    plugin = one("good")
    assert (plugin.state, plugin.error) == (PluginState.OK, "")
    assert [cls.name for cls in plugin.drivers] == ["good"]


def test_what_is_installed_but_not_configured_is_never_imported(plugins, tmp_path):  # noqa: F811
    trace = tmp_path / "imported"
    plugins.package("menwei_idle", f"open({str(trace)!r}, 'w').close()")
    plugins.package("menwei_good")
    loaded = load(["good"])
    plugins_table(loaded, {})
    assert "idle" not in loaded
    assert not trace.exists()
    load(["idle"])
    assert trace.exists()  # else the test above would prove nothing


@pytest.mark.parametrize(
    "code",
    ["import no_such_library", "1 / 0", "raise SystemExit(3)", "import asyncio; raise asyncio.CancelledError", "def broken(:"],
)  # fmt: skip
def test_a_plugin_that_fails_at_import_is_broken_and_the_others_load(plugins, code):  # noqa: F811
    plugins.package("menwei_bad", code)
    plugins.package("menwei_good", DRIVER.format(driver="good"))
    loaded = load(["bad", "good"])
    assert loaded["bad"].state is PluginState.BROKEN
    assert loaded["bad"].error.startswith("bad could not be imported: ")
    assert loaded["good"].state is PluginState.OK


def test_ctrl_c_during_an_import_is_not_taken_for_a_broken_plugin(plugins):  # noqa: F811
    plugins.package("menwei_slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load(["slow"])


def test_a_plugin_that_is_not_there_is_named_with_what_was_meant(plugins):  # noqa: F811
    plugins.package("menwei_gatekit")
    plugin = one("gatekitt")
    assert plugin.state is PluginState.MISSING
    assert "did you mean gatekit?" in plugin.error


def test_a_plugin_for_another_api_is_refused_and_not_imported(plugins):  # noqa: F811
    plugins.package("menwei_new", "1 / 0", manifest=MANIFEST.format(name="new").replace(">=1,<2", ">=7"))
    plugin = one("new")
    assert plugin.state is PluginState.REFUSED
    assert ">=7" in plugin.error
    assert "menwei_new" not in sys.modules


def test_a_plugin_with_a_bad_manifest_is_not_imported(plugins):  # noqa: F811
    plugins.package("menwei_bad", "1 / 0", manifest="name: bad\n")
    assert one("bad").state is PluginState.UNREADABLE
    assert "menwei_bad" not in sys.modules


def test_a_misspelt_hook_is_named_and_the_rest_can_be_used(plugins):  # noqa: F811
    plugins.package(
        "menwei_typo", DRIVER.format(driver="typo") + "\n@hookimpl\ndef register_polices():\n    return []\n"
    )
    plugin = one("typo")
    assert plugin.state is PluginState.PARTIAL
    assert plugin.error == "typo: there is no hook register_polices; did you mean register_policies?"
    assert [cls.name for cls in plugin.drivers] == ["typo"]


def test_every_misspelt_hook_is_named(plugins):  # noqa: F811
    plugins.package(
        "menwei_typo", "@hookimpl\ndef register_polices(): ...\n@hookimpl\ndef register_route(): ...\n"
    )
    assert [failure.values["hook"] for failure in one("typo").failures] == [
        "register_polices",
        "register_route",
    ]


@pytest.mark.parametrize("error", ["ValueError('no')", "SystemExit(1)"])
def test_a_raising_hook_loses_only_its_own_answer(plugins, error):  # noqa: F811
    code = DRIVER.format(driver="half") + f"\n@hookimpl\ndef register_policies():\n    raise {error}\n"
    plugins.package("menwei_half", code)
    plugin = one("half")
    assert plugin.state is PluginState.PARTIAL
    assert plugin.error.startswith("half: register_policies failed: ")
    assert [cls.name for cls in plugin.drivers] == ["half"]


@pytest.mark.parametrize(
    ("answer", "named"),
    [("None", "NoneType"), ("Policy", "ABCMeta"), ("[int]", "int"), ("['quiet']", "str"), ("(x for x in [])", "generator")],
)  # fmt: skip
def test_an_answer_of_the_wrong_type_is_named(plugins, answer, named):  # noqa: F811
    plugins.package("menwei_odd", f"@hookimpl\ndef register_policies():\n    return {answer}\n")
    plugin = one("odd")
    assert plugin.state is PluginState.PARTIAL
    assert "register_policies answered" in plugin.error
    assert named in plugin.error or named == "ABCMeta"
    assert plugin.policies == ()


POLICY = '''
class Quiet(Policy):
    """Asked at night."""

    name = "quiet"

    class Config(menwei.Config):
        pass

    async def check(self, passage):
        return PASS


@hookimpl
def register_policies():
    return [Quiet]
'''


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('    """Asked at night."""\n', "", "has no docstring"),
        ('name = "quiet"', 'name = "Quiet Hours"', "`name` must be"),
        ('name = "quiet"', "", "`name` must be"),
        ("class Config(menwei.Config):", "class Config:", "`Config` must be a subclass"),
        ("async def check", "async def chek", "does not define check"),
        ("[Quiet]", "[Quiet, type('Other', (Quiet,), {'__doc__': 'x'})]", "is used twice"),
    ],
)
def test_a_class_that_cannot_be_used_is_named_with_the_reason(plugins, before, after, said):  # noqa: F811
    plugins.package("menwei_quiet", POLICY.replace(before, after))
    plugin = one("quiet")
    assert plugin.state is PluginState.PARTIAL
    assert said in plugin.error
    assert "Quiet" in plugin.error or "Other" in plugin.error


def test_the_same_class_without_a_fault_is_loaded(plugins):  # noqa: F811
    plugins.package("menwei_quiet", POLICY)
    assert [cls.name for cls in one("quiet").policies] == ["quiet"]


def test_a_driver_name_belongs_to_the_plugin_that_was_first(plugins):  # noqa: F811
    plugins.package("menwei_first", DRIVER.format(driver="gate"))
    plugins.package("menwei_second", DRIVER.format(driver="gate"))
    loaded = load(["first", "second"])
    assert loaded["first"].state is PluginState.OK
    assert (loaded["second"].drivers, loaded["second"].state) == ((), PluginState.PARTIAL)
    assert "belongs to the plugin first" in loaded["second"].error


NOTIFIER = '''
class Bell(Notifier):
    """Rings for each entry."""

    name = "bell"
    hears = frozenset({"AccessGranted", "AccessDenied"})

    class Config(menwei.Config):
        pass

    async def notify(self, entry): ...


@hookimpl
def register_notifiers():
    return [Bell]
'''


def test_a_notifier_hears_nothing_that_its_manifest_does_not_declare(plugins):  # noqa: F811
    manifest = MANIFEST.format(name="bell") + "permissions: {facts: [AccessGranted]}\n"
    plugins.package("menwei_bell", NOTIFIER, manifest=manifest)
    plugin = one("bell")
    assert plugin.notifiers == ()
    assert "hears AccessDenied, not declared" in plugin.error


TABLES = """
from sqlalchemy import Column, Integer, MetaData, Table

metadata = MetaData()
Table({table!r}, metadata, Column("id", Integer, info={info}), info={{"subject": "holder"}})


@hookimpl
def register_schema():
    return metadata
"""
DECLARED = '{"personal": False, "retention": "passages"}'


@pytest.mark.parametrize(
    ("info", "permissions", "said"),
    [
        (DECLARED, "tables: [visits_all]", ""),
        ("{}", "tables: [visits_all]", "visits_all.id"),
        (DECLARED, "pages: true", "tables: [visits_all]"),
    ],
)
def test_a_table_is_loaded_only_when_it_is_declared(plugins, info, permissions, said):  # noqa: F811
    manifest = MANIFEST.format(name="visits") + f"permissions: {{{permissions}}}\n"
    plugins.package("menwei_visits", TABLES.format(table="visits_all", info=info), manifest=manifest)
    plugin = one("visits")
    assert (plugin.schema is None) is bool(said)
    assert said in plugin.error


@pytest.mark.parametrize(
    ("name", "table"),
    [("visits", "credentials"), ("visits", "tenancy_members"), ("credential", "credential_profiles")],
)
def test_the_cores_tables_and_those_of_others_are_nobodys_to_declare(plugins, name, table):  # noqa: F811
    manifest = MANIFEST.format(name=name) + f"permissions: {{tables: [{table}]}}\n"
    plugins.package(f"menwei_{name}", TABLES.format(table=table, info=DECLARED), manifest=manifest)
    plugin = one(name)
    assert plugin.schema is None
    assert table in plugin.error


def test_the_table_of_plugins_shows_state_error_and_permissions(plugins):  # noqa: F811
    wants = (
        MANIFEST.format(name="desk") + "permissions: {rights: true, doors: true, facts: [AccessGranted]}\n"
    )
    plugins.package("menwei_desk", manifest=wants)
    plugins.package("menwei_idle")
    plugins.package("menwei_bad", "1 / 0")
    rows = {row.name: row for row in plugins_table(load(["desk", "bad"]), {"desk": ["rights"]})}
    assert rows["desk"].asked == ("rights", "doors", "facts:AccessGranted")
    assert rows["desk"].allowed == ("rights", "facts:AccessGranted")
    assert (rows["desk"].version, rows["desk"].state) == ("1.2.3", PluginState.OK)
    assert rows["bad"].state is PluginState.BROKEN
    assert "ZeroDivisionError" in rows["bad"].error
    assert (rows["idle"].state, rows["idle"].error) == (None, "")


def test_failures_are_told_in_the_language_of_the_reader(plugins):  # noqa: F811
    plugins.package("menwei_bad", "1 / 0")
    assert "无法导入" in one("bad").explain("zh-CN")
