"""A house with the face plugin as the program would load it: real store, rights, vault and journal. Who stands before
the examiner is chosen by the test: vectors instead of pictures, because no network is needed to ask who may be enrolled.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from menwei import FOREVER, Actor, Context, CredentialIdentifier, CredentialState, IdentifierType, SetState
from menwei.granting import PluginSite, grants
from menwei.loader import LoadedPlugin
from menwei_face.consent import TEXT_VERSION, Guardian, Said
from menwei_face.enrolment import Enrolment
from menwei_face.match import template
from menwei_face.service import Faces
from menwei_face.template import Template
from menwei_face.words import FaceError, Recorder, Source
from small_house import FIRST_PASSWORD
from tenancy_house import TenancyHouse, card

DESK = Recorder(Actor("li", "registrar"), 7)
YES = Said(True, TEXT_VERSION, "zh-CN", under_14=False)


def face(who: str, photo: int = 0) -> np.ndarray:
    """A vector of a person: photos of one lie at 0.2 from each other, those of two people beyond 1."""
    seed = int.from_bytes(hashlib.sha256(who.encode()).digest()[:4], "big")
    middle = np.random.default_rng(seed).normal(size=128)
    middle /= np.linalg.norm(middle)
    noise = np.random.default_rng((seed, photo)).normal(size=128)
    return (middle + 0.14 * noise / np.linalg.norm(noise)).astype(np.float32)


def faces_of(who: str, count: int = 3) -> tuple[Template, ...]:
    return tuple(template(face(who, photo)) for photo in range(count))


async def refused(work: Awaitable[Any]) -> str:
    """Why it was refused: the message key."""
    with pytest.raises(FaceError) as caught:
        await work
    return caught.value.says


def enrol(house: Any, holder: int, who: str = "lin", **more: Any) -> Awaitable[Any]:
    """The desk enrols somebody from photos."""
    return house.enrolment.enrol(DESK, holder, faces_of(who), Source.PHOTOS, **more)


class FaceHouse(TenancyHouse):
    folder: Path

    @property
    def enrolment(self) -> Enrolment:
        found: Enrolment = self.services.find(Enrolment)
        return found

    @property
    def faces(self) -> Faces:
        found: Faces = self.services.find(Faces)
        return found

    def context(self, plugin: LoadedPlugin) -> Context:
        assert plugin.manifest is not None
        allowed = plugin.manifest.permissions.asked()
        keys = self.line.hashes
        return Context(
            plugin.name, structlog.get_logger(plugin.name), self.clock,
            granted=grants(plugin, allowed, self, keys, self.folder),  # type: ignore[arg-type]
            view=PluginSite(self), find_service=lambda cls: self.services.find_for(plugin, cls),  # type: ignore[arg-type]
        )  # fmt: skip

    async def person(
        self, number: str = "04A1B2C3", name: str = "林晓", *, carded: bool = True, **more: Any
    ) -> int:
        """Somebody with a card for the gate, or with nothing."""
        cards = [card(number.rjust(8, "A"))] if carded else []
        words = {"profiles": ["residents"], "valid_to": FOREVER} | more if carded else more
        return await self.people.add(name, cards=cards, actor=self.ACTOR, **words)

    async def consented(self, number: str = "04A1B2C3") -> int:
        holder = await self.person(number)
        await self.enrolment.agree(DESK, holder, YES)
        return holder

    async def enrolled(self, who: str = "lin", number: str = "04A1B2C3") -> int:
        holder = await self.consented(number)
        await self.enrolment.enrol(DESK, holder, faces_of(who), Source.PHOTOS)
        return holder

    def credentials(self, holder: int, kind: IdentifierType) -> list[Any]:
        return [one for one in self.rights.snapshot.of_holder(holder) if kind in one.factors]

    def face_of(self, holder: int) -> Any:
        """The newest credential of the person's face."""
        return max(
            self.credentials(holder, IdentifierType.FACE),
            key=lambda one: one.state is not CredentialState.ENDED,
        )

    async def subject_of(self, holder: int) -> str:
        found = (await self.enrolment.standing(holder)).enrolled
        assert found is not None
        return found.subject

    async def set_state(self, credential: int, state: CredentialState) -> None:
        async with self.rights.store.transaction() as tx:
            await self.rights.apply(tx, [SetState(credential, state)], actor=self.ACTOR)

    async def known(self) -> frozenset[str]:
        return await self.faces.known()

    def wrong(self, **changes: Any) -> Said:
        return replace(YES, **changes)


PLUGINS = ("console", "camera", "face")
_migrated: dict[str, tempfile.TemporaryDirectory[str]] = {}
"""The folder of a house just founded, with the plugin's tables; made once a process, as `tenancy_house` does."""


async def _copy_migrated(folder: Path) -> None:
    if "made" not in _migrated:
        template = tempfile.TemporaryDirectory(prefix="menwei-face-")
        async with await FaceHouse.open(Path(template.name)) as house:
            house.folder = Path(template.name)
            await house.load(PLUGINS)
            (Path(template.name) / FIRST_PASSWORD).write_text(house.first_password)
        _migrated["made"] = template
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("machine.key", "store.db", FIRST_PASSWORD):
        shutil.copy(Path(_migrated["made"].name) / name, folder / name)


@asynccontextmanager
async def face_house(folder: Path, *more: str) -> AsyncIterator[FaceHouse]:
    """`more` plugins beside those that faces need."""
    await _copy_migrated(folder)
    async with await FaceHouse.open(folder) as house:
        house.folder = folder
        await house.load((*PLUGINS, *more))
        try:
            yield house
        finally:
            await house.faces.close()


__all__ = [
    "DESK",
    "YES",
    "CredentialIdentifier",
    "FaceHouse",
    "Guardian",
    "card",
    "face",
    "face_house",
    "faces_of",
]
