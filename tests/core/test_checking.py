"""`menwei check`: whatever is wrong is told in one run, each mistake at its place."""

from pathlib import Path

from menwei.checking import check_all

MISTAKES = """\
site: {id: yard, lang: zh}
plugins:
  consle:
  simulator:
devices:
  gate: {driver: simulator, hst: 127.0.0.1, port: 99999}
  other: {driver: simulater}
doors:
  front: {lock: gate/1, access_points: {in: {readers: [gate/in], policies: [nope]}}}
profiles:
  all: [{access_points: [inn], schedule: night}]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, "utf-8")
    return path


def test_mistakes_of_the_core_s_and_of_plugins_settings_are_told_in_one_run(tmp_path):
    found = check_all(written(tmp_path, MISTAKES))
    assert [(one.line, one.column, one.path) for one in found] == [
        (1, 18, "site.lang"),
        (3, 3, "plugins.consle"),
        (6, 3, "devices.gate"),
        (6, 29, "devices.gate.hst"),
        (6, 45, "devices.gate.port"),
        (7, 11, "devices.other.driver"),
        (9, 77, "doors.front.access_points.in.policies[0]"),
        (11, 26, "profiles.all[0].access_points[0]"),
        (11, 32, "profiles.all[0].schedule"),
    ]


def test_a_plugin_that_is_not_there_is_told_in_the_reader_s_language(tmp_path):
    (problem,) = check_all(written(tmp_path, "site: {id: yard}\nplugins:\n  consle:\n"))
    assert problem.text("zh-CN").endswith(
        "config.yaml:3:3: plugins.consle: 插件 consle 未安装：是否想写 console？"
    )
    assert problem.text("en").endswith("the plugin consle is not installed; did you mean console?")


def test_a_device_that_is_wrong_for_the_core_is_not_asked_of_its_driver_too(tmp_path):
    found = check_all(
        written(tmp_path, "site: {id: yard}\nplugins: {simulator: }\ndevices:\n  gate: {host: 127.0.0.1}\n")
    )
    assert [(one.path, one.key) for one in found] == [("devices.gate", "config.missing")]


def test_a_file_that_is_no_yaml_is_told_at_its_place(tmp_path):
    (problem, *_) = check_all(written(tmp_path, "site: {id: yard\n"))
    assert problem.text("en").startswith(f"{tmp_path}/config.yaml:")


def test_what_a_plugin_does_not_know_in_its_section_is_told_with_what_was_meant(tmp_path):
    config = "site: {id: yard}\nplugins:\n  console: {colour: red}\n  simulator: {allow: [right]}\n"
    colour, right = check_all(written(tmp_path, config))
    assert (colour.line, colour.path) == (3, "plugins.console.colour")
    assert (right.line, right.column, right.path) == (4, 23, "plugins.simulator.allow[0]")
    assert right.text("en").endswith("there are: doors, rights · did you mean “rights”?")
    assert right.text("zh-CN").endswith("可写：doors, rights · 您是否想写“rights”？")
