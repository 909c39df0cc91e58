"""Lookers for tests of the camera worker; they run in the worker process."""

from __future__ import annotations

import ctypes
import time


class Brightness:
    """Tells the mean of every channel and the size of each frame, and what it was told."""

    def __init__(self, camera, options):
        self.camera, self.options = camera, options

    def frame(self, image, at):
        corner = image[: image.shape[0] // 4, : image.shape[1] // 4].mean()
        yield {
            "height": image.shape[0], "width": image.shape[1], "mean": float(image.mean()),
            "corner": float(corner), "at": at, "age": time.monotonic() - at,
        }  # fmt: skip

    def told(self, message):
        if message == "crash":
            ctypes.string_at(0)
        if message == "fail":
            raise RuntimeError("told to fail")
        yield {"told": message, "options": self.options}


class Slow(Brightness):
    def frame(self, image, at):
        time.sleep(0.15)
        yield from super().frame(image, at)


class Failing(Brightness):
    def frame(self, image, at):
        raise ValueError("no such luck")


def brightness(options):
    return lambda camera: Brightness(camera, options)


def slow(options):
    return lambda camera: Slow(camera, options)


def failing(options):
    return lambda camera: Failing(camera, options)


def unmakeable(options):
    raise RuntimeError("no weights")
