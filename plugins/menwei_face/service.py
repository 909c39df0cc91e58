"""The one holder of the template vault while the program runs: enrolment writes through it, the recognizer reads.

The vault is opened in a thread of its own at the first use and stays with that thread; nothing here blocks the loop.
Where it does not open, the service says why (`VaultTrouble`, and a repair) and everything else goes on. Templates are
bytes here: numpy stays out of the core's process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from menwei import Context, Repair, Service
from menwei_face import choice
from menwei_face.comparer import Comparer
from menwei_face.models import Model
from menwei_face.options import FaceOptions
from menwei_face.places import models_in, vault_in
from menwei_face.template import WIDTH, Template, Templates
from menwei_face.trouble import VaultTrouble
from menwei_face.vault import Receipt, Vault
from menwei_face.vault_files import COPY

RETRY = 30.0
"""Seconds until a vault that did not open is tried again."""
REMEMBER = 60.0
"""Seconds after the last comparison for which everybody's templates stay open."""
PART = 2000
"""People whose templates are opened at once, some 5 MB."""

R = TypeVar("R")
Changed = Callable[[str], None]


class Faces(Service):
    """Enrols and withdraws faces, and tells whoever listens. A failure here is one of faces: cards do not notice.

    Who may be enrolled (consent, guardian, another working credential) is for the caller to know, before a photo is even
    looked at; the credential is the caller's too, see `subject.identifier`. Every method that waits opens the vault
    first and raises `VaultTrouble` where that cannot be done; what has begun is finished, also when the caller is
    cancelled meanwhile.
    """

    name = "faces"
    Config = FaceOptions

    def __init__(self, context: Context, config: FaceOptions) -> None:
        super().__init__(context, config)
        self._thread = ThreadPoolExecutor(1, "face-vault")
        self._turn = asyncio.Lock()
        self._vault: Vault | None = None
        self._everybody: Comparer | None = None
        self._forgetting: asyncio.TimerHandle | None = None
        self._enrolled: frozenset[str] = frozenset()
        self._model: Model | None = None
        self._listeners: list[Changed] = []
        self._busy: set[asyncio.Task[Any]] = set()
        self._trouble = ""

    # ------------------------------------------------------------------------------------------------- what is called

    @property
    def model(self) -> Model:
        """The network whose vectors are kept and compared; chosen before the start, the same until the end. Raises
        `ChoiceTrouble`."""
        if self._model is None:
            self._model = choice.chosen(models_in(self.context.files.folder)).embedder
        return self._model

    async def ready(self) -> None:
        """Open the vault now. Raises `VaultTrouble`."""
        await self._alone(self._opened())

    def enrolled(self) -> frozenset[str]:
        """Who has templates for the network in use. Raises `VaultTrouble` before the vault was opened (`ready`)."""
        if self._vault is None:
            raise VaultTrouble(self._trouble or "the template vault is not open yet")
        return self._enrolled

    async def enrol(self, subject: str, templates: Sequence[Template], at: float) -> None:
        """Keep 1 to 5 templates of a person, in place of earlier ones. `subject` comes from `new_subject`, `at` is in
        epoch seconds. Durable when it returns. Raises `ValueError` for templates that are none of the network's."""
        await self._alone(self._enrol(subject, self._own(templates), at))

    async def withdraw(self, subject: str) -> Receipt:
        """Destroy a person's key and delete the templates, here and in the camera worker. The second time, or for
        nobody, a receipt over 0 templates."""
        return await self._alone(self._withdraw(subject))

    async def too_like(self, templates: Sequence[Template], but: str | None = None) -> bool:
        """Whether one of these faces is within the site's threshold of somebody enrolled other than `but`. Who that is
        is not told: whoever enrols may not be allowed to know. Raises `ValueError` as `enrol` does."""
        return await self._alone(self._too_like(self._own(templates), but))

    def _own(self, templates: Sequence[Template]) -> tuple[Template, ...]:
        if any(len(template) != WIDTH * self.model.dimensions for template in templates):
            raise ValueError(f"templates of {self.model.name} have {self.model.dimensions} numbers")
        return tuple(templates)

    async def known(self) -> frozenset[str]:
        """Who has templates, for this network or for another one."""
        return await self._alone(self._known())

    async def templates(self, subjects: Iterable[str]) -> Templates:
        """The templates of these people for the network in use: for the camera worker alone."""
        return await self._alone(self._templates(frozenset(subjects)))

    def on_change(self, callback: Changed) -> Callable[[], None]:
        """Call this with the subject after every enrolment and withdrawal, until what is returned is called. It must be
        quick; it runs in the loop's thread."""
        self._listeners.append(callback)

        def end() -> None:
            if callback in self._listeners:
                self._listeners.remove(callback)

        return end

    # ------------------------------------------------------------------------------------------------------- its life

    async def run(self) -> None:
        """Opens the vault, so that trouble with it is told before somebody is enrolled, and closes it at the end."""
        try:
            while True:
                try:
                    await self.ready()
                    await asyncio.Event().wait()
                except VaultTrouble as trouble:
                    self.context.log.error("the template vault does not open", error=str(trouble))
                await asyncio.sleep(RETRY)
        finally:
            await self.close()

    async def close(self) -> None:
        """Finish what has begun and close the vault; it opens again when it is needed."""
        async with self._turn:
            await self._forget()
            vault, self._vault = self._vault, None
            if vault is not None:
                await self._in_thread(vault.close)

    def repairs(self) -> list[Repair]:
        found = []
        if self._trouble:
            found.append(Repair("face-vault", "face.repair.vault", {"detail": self._trouble}, "error"))
        return found

    # --------------------------------------------------------------------------------------------------------- inside

    async def _enrol(self, subject: str, templates: tuple[Template, ...], at: float) -> None:
        vault = await self._opened()
        await self._in_thread(vault.enrol, subject, self.model.name, templates, at)
        self._enrolled |= {subject}
        self._tell(subject)
        if self._everybody is None:
            return
        try:
            await self._in_thread(self._everybody.put, Templates({subject: templates}))
        except VaultTrouble as trouble:  # the face is enrolled all the same
            self.context.log.error("everybody is read again for the next comparison", error=str(trouble))
            await self._forget()

    async def _withdraw(self, subject: str) -> Receipt:
        vault = await self._opened()
        self._enrolled -= {subject}
        self._tell(subject)  # before the disk has answered: nobody is recognised by what is being withdrawn
        await self._forget()
        return await self._in_thread(vault.withdraw, subject, self.context.clock.now())

    async def _too_like(self, templates: tuple[Template, ...], but: str | None) -> bool:
        vault = await self._opened()
        if self._everybody is not None and self._everybody.outgrown:
            await self._forget()
        if self._everybody is None:
            self._everybody = await self._in_thread(self._filled, vault, sorted(self._enrolled))
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(REMEMBER, self._forget_beside)
        threshold = self.config.threshold or self.model.threshold
        try:
            return await self._in_thread(self._everybody.too_like, templates, threshold, but)
        except VaultTrouble:
            await self._forget()
            raise

    def _filled(self, vault: Vault, subjects: Sequence[str]) -> Comparer:
        everybody = Comparer(len(subjects), unit=self.model.unit)
        try:
            for begin in range(0, len(subjects), PART):
                everybody.put(self._load(vault, subjects[begin : begin + PART]))
        except BaseException:
            everybody.close()
            raise
        return everybody

    async def _forget(self) -> None:
        """Templates lie open only while somebody enrols."""
        if self._forgetting is not None:
            self._forgetting.cancel()
        everybody, self._everybody, self._forgetting = self._everybody, None, None
        if everybody is not None:
            await self._in_thread(everybody.close)

    def _forget_beside(self) -> None:
        task = asyncio.get_running_loop().create_task(self._alone(self._forget()))
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _templates(self, subjects: frozenset[str]) -> Templates:
        vault = await self._opened()
        return await self._in_thread(self._load, vault, sorted(subjects & self._enrolled))

    async def _known(self) -> frozenset[str]:
        vault = await self._opened()
        return await self._in_thread(vault.enrolled)

    def _load(self, vault: Vault, subjects: Sequence[str]) -> Templates:
        loaded = vault.load(self.model.name, subjects)
        if loaded.damaged:
            self.context.log.error(
                "templates cannot be opened; these people must enrol again", count=len(loaded.damaged)
            )
        return loaded.templates

    async def _opened(self) -> Vault:
        if self._vault is not None:
            return self._vault
        try:
            vault, self._enrolled = await self._in_thread(self._open)
        except VaultTrouble as trouble:
            self._trouble = str(trouble)
            raise
        self._vault, self._trouble = vault, ""
        return vault

    def _open(self) -> tuple[Vault, frozenset[str]]:
        own = self.context.files
        folder = vault_in(own.folder)
        try:
            vault = Vault(folder, own.subkey("vault"), copy=own.folder / COPY)
            return vault, vault.enrolled(self.model.name)
        except (OSError, choice.ChoiceTrouble) as error:
            raise VaultTrouble(f"{type(error).__name__}: {error}") from error

    async def _alone(self, work: Coroutine[Any, Any, R]) -> R:
        """One piece of work after the other, each to its end: a person half withdrawn is none."""

        async def in_turn() -> R:
            async with self._turn:
                return await work

        task = asyncio.get_running_loop().create_task(in_turn())
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)
        return await asyncio.shield(task)

    async def _in_thread(self, call: Callable[..., R], *arguments: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    def _tell(self, subject: str) -> None:
        for callback in list(self._listeners):
            try:
                callback(subject)
            except Exception as error:  # a listener's mistake must not keep a withdrawal from the disk
                self.context.log.error("a change of faces could not be told", exc_info=error)
