"""What goes in and out of the screens' API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints

from menwei.routes import NOT_BLANK, Model

Named = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NOT_BLANK)]


class Typed(Model):
    """A number typed on the screen, as long as any keypad's."""

    digits: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,16}$")]


class Begun(Model):
    """Whether this tablet is a screen already, or shows a code and waits to become one."""

    paired: bool


class ScreenOut(Model):
    """One screen. `connected`: its tablet looks now. `served` false: the config does not have it (any more)."""

    id: str
    access_point: str | None
    place: str
    served: bool
    keypad: bool
    paired: datetime | None
    connected: bool


class ScreenList(Model):
    screens: tuple[ScreenOut, ...]


class Pair(Model):
    """`screen` is a device, or an access point that has one screen; `code` stands on the tablet."""

    screen: Named
    code: Named


class Revoke(Model):
    screen: Named


class Paired(Model):
    """Which screen it was about."""

    screen: str
    access_point: str | None
