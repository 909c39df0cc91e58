"""Cameras at doors: one worker process captures all of them and runs what looks at their frames.

A device of the config is one camera (`driver.Camera`). Recognizers plug in by a dotted name (`looking.LookSpec`) through
the service `Cameras`; what comes back to the core are small facts, never a frame, except one JPEG on request. Native
code (decoders, networks) runs in the worker only: when it crashes, cards go on and the cameras are back a second later.
OpenCV is needed (`pip install 'menwei[camera]'`); the service itself never imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei import hookimpl

if TYPE_CHECKING:
    from menwei import Driver, Service


@hookimpl
def register_drivers() -> list[type[Driver]]:
    from menwei_camera.driver import Camera

    return [Camera]


@hookimpl
def register_services() -> list[type[Service]]:
    from menwei_camera.service import Cameras

    return [Cameras]
