"""Rendered presentations of a photo to a camera: flat prints turned and tilted, bent prints, and a head-shaped body.

A pinhole camera, 640×480, looks at a surface that carries the photo. Prints are what an attacker holds up. The
ellipsoid is no attack: it stands for a real head where no film of one is at hand, and is called "rendered head".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np

from menwei_face.geometry import Box, Image

WIDTH, HEIGHT = 640, 480
FOCAL = 620.0
FPS = 10.0
Angles = Callable[[float], tuple[float, float, float]]
"""From 0…1 of the film to turn (about the vertical), tilt (about the horizontal) and roll, in degrees."""
Surface = Callable[[Any, Any], Any]
"""From places on the photo (x, y in -1…1) to points in space (…, 3), in units of half the photo's width."""


def flat(x: Any, y: Any) -> Any:
    return np.stack([x, y, np.zeros_like(x)], axis=-1)


def bent(radius: float, slant: float = 0.0) -> Surface:
    """A sheet bent to a cylinder of that radius (half widths), its axis slanted from the vertical by degrees."""

    def surface(x: Any, y: Any) -> Any:
        turn = np.deg2rad(slant)
        u, v = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
        along, depth = radius * np.sin(u / radius), radius * (1 - np.cos(u / radius))
        return np.stack(
            [along * np.cos(turn) - v * np.sin(turn), along * np.sin(turn) + v * np.cos(turn), depth], axis=-1
        )

    return surface


def head(x: Any, y: Any) -> Any:
    """The front of an ellipsoid with a ridge for the nose; the photo is projected on it from straight ahead."""
    inside = np.clip(1 - (x / 0.62) ** 2 - (y / 0.80) ** 2, 0, None)
    depth = 0.55 * (1 - np.sqrt(inside))
    nose = 0.16 * np.exp(-((x / 0.09) ** 2)) * np.exp(-(((y - 0.06) / 0.14) ** 2))
    return np.stack([x, y, depth - nose], axis=-1)


def crop(image: Image, box: Box, reach: float = 2.2) -> Image:
    """The photo that is printed: the face in the middle, 400×400."""
    (x, y), half = box.center, box.width * reach / 2
    scale = 400 / (2 * half)
    matrix = np.array([[scale, 0, 200 - scale * x], [0, scale, 200 - scale * y]])
    return np.asarray(
        cv2.warpAffine(image, matrix, (400, 400), borderMode=cv2.BORDER_REFLECT), dtype=np.uint8
    )


def film(
    photo: Image, surface: Surface, angles: Angles, *, seconds: float = 2.6, distance: float = 3.4
) -> Iterator[Any]:
    """(time, frame): the surface with the photo moves through `angles` in front of a grey wall."""
    random = np.random.default_rng(4)
    wall = grey_wall(random)
    grid = np.linspace(-1, 1, 2 if surface is flat else 500)
    x, y = np.meshgrid(grid, grid)
    body = surface(x, y)
    for number in range(int(seconds * FPS)):
        turn, tilt, roll = angles(number / (seconds * FPS - 1))
        points = (body - [0, 0, 0.3]) @ rotation(turn, tilt, roll).T
        points += np.array([*random.normal(0, 0.004, 2), distance])
        yield number / FPS, (draw_flat if surface is flat else draw)(photo, points, wall)


def grey_wall(random: np.random.Generator) -> Image:
    """A wall with a camera's noise: what is before it moves, it does not."""
    return np.clip(random.normal(96, 6, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)


def rotation(turn: float, tilt: float, roll: float) -> Any:
    """Roll first, then tilt, then turn; positive turn brings the picture's right edge away from the camera."""
    a, b, c = np.deg2rad([turn, tilt, roll])
    about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def draw_flat(photo: Image, points: Any, wall: Image) -> Image:
    """The exact picture of a plane: one projective map of its four corners."""
    screen = points[..., :2] / points[..., 2:] * FOCAL + [WIDTH / 2, HEIGHT / 2]
    right, bottom = photo.shape[1] - 1, photo.shape[0] - 1
    corners = np.array([[0, 0], [right, 0], [0, bottom], [right, bottom]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, screen.reshape(4, 2).astype(np.float32))
    picture = wall.copy()
    cv2.warpPerspective(photo, matrix, (WIDTH, HEIGHT), picture, borderMode=cv2.BORDER_TRANSPARENT)
    return picture


def draw(photo: Image, points: Any, wall: Image) -> Image:
    """Scatters the surface's points over the screen, far ones first, so that a nose hides the cheek behind it. The
    grid is denser than the screen; what it still leaves open is closed from its neighbours."""
    rows, columns = points.shape[:2]
    screen = np.rint(points[..., :2] / points[..., 2:] * FOCAL + [WIDTH / 2, HEIGHT / 2]).astype(np.int32)
    x, y = np.meshgrid(np.linspace(0, photo.shape[1] - 1, columns), np.linspace(0, photo.shape[0] - 1, rows))
    seen = (
        (screen[..., 0] >= 0) & (screen[..., 0] < WIDTH) & (screen[..., 1] >= 0) & (screen[..., 1] < HEIGHT)
    )
    order = np.argsort(-points[..., 2][seen])
    place = (screen[..., 1] * WIDTH + screen[..., 0])[seen][order]
    source = np.full((2, HEIGHT * WIDTH), -1, np.float32)
    source[0, place], source[1, place] = x[seen][order], y[seen][order]
    maps = [np.ascontiguousarray(one.reshape(HEIGHT, WIDTH)) for one in source]
    closed = [cv2.morphologyEx(one, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) for one in maps]
    maps = [np.where(one >= 0, one, other) for one, other in zip(maps, closed, strict=True)]
    picture = cv2.remap(photo, maps[0], maps[1], cv2.INTER_LINEAR)
    return np.where((maps[0] >= 0)[..., None], picture, wall).astype(np.uint8)


def swing(turn: float, tilt: float = 0.0, roll: float = 0.0) -> Angles:
    """Still for a quarter, out to the angles, back, still."""

    def angles(part: float) -> tuple[float, float, float]:
        share = float(np.clip(np.sin(np.pi * np.clip((part - 0.25) / 0.6, 0, 1)), 0, 1))
        return turn * share, tilt * share, roll * share

    return angles
