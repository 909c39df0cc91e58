"""Faces at doors, on this machine alone.

What is here is the part that looks: `pipeline.Pipeline` turns the frames of one camera into events (`events.py`), with
detection (`detect.py`), tracks (`track.py`), quality (`quality.py`), cut-outs (`align.py`), vectors (`embed.py`), the
gallery (`match.py`) and the head turn (`liveness.py`). `models.py` knows the files of the networks, `vault.py` keeps
the templates. None of it opens a camera, a socket or a door, and importing it loads no network.

Not judged from a face, ever: age, sex, origin, mood, or whether a stranger was here before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei import hookimpl

if TYPE_CHECKING:
    import typer
    from sqlalchemy import MetaData

    from menwei import Recognizer, Service
    from menwei.routes import Route


@hookimpl
def register_recognizers() -> list[type[Recognizer]]:
    from menwei_face.recognizer import FaceRecognizer

    return [FaceRecognizer]


@hookimpl
def register_schema() -> MetaData:
    from menwei_face.tables import metadata

    return metadata


@hookimpl
def register_services() -> list[type[Service]]:
    from menwei_face.enrolment import Enrolment
    from menwei_face.service import Faces

    return [Faces, Enrolment]


@hookimpl
def register_routes() -> list[Route]:
    from menwei_face import api, api_camera, api_mine, pages

    return [*api.routes(), *api_camera.routes(), *api_mine.routes(), *pages.routes()]


@hookimpl
def register_commands() -> typer.Typer:
    from menwei_face.commands import app

    return app
