"""What a recognizer is handed beside the rest: which of its people belong to a door, and a place and keys of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from menwei.model import Credential, CredentialIdentifier, CredentialState, IdentifierType

if TYPE_CHECKING:
    from menwei.keys import Keys
    from menwei.services import House


@dataclass(frozen=True, slots=True)
class PluginFiles:
    """The `files` permission."""

    plugin: str
    folder: Path
    keys: Keys

    def subkey(self, purpose: str) -> bytes:
        return self.keys.subkey(f"plugin/{self.plugin}/{purpose}")


@dataclass(frozen=True, slots=True)
class PluginSubjects:
    """The `subjects` permission. `kinds` are what the plugin's own recognizers deliver: about cards it cannot ask."""

    kinds: tuple[tuple[IdentifierType, str], ...]
    house: House
    keys: Keys

    def admitted(self, access_point: str, subjects: Iterable[str]) -> frozenset[str]:
        snapshot, now = self.house.rights.snapshot, self.house.clock.now()

        def opens(credential: Credential) -> bool:
            return (
                credential.state is CredentialState.ENABLED
                and now < credential.valid_to
                and any(snapshot.rules_for(profile, access_point) for profile in credential.profiles)
            )

        return frozenset(
            subject
            for subject in subjects
            if (own := self._of(subject)) is not None
            and own.state is CredentialState.ENABLED
            and now < own.valid_to
            and any(opens(credential) for credential in snapshot.of_holder(own.holder))
        )

    def credential(self, subject: str) -> int | None:
        found = self._of(subject)
        return None if found is None else found.id

    def on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        return self.house.rights.snapshot.on_change(callback)

    def _of(self, subject: str) -> Credential | None:
        for kind, form in self.kinds:
            digest = self.keys.digest(CredentialIdentifier(kind, form, subject))
            if found := self.house.rights.snapshot.find(digest):
                return found
        return None


__all__ = ["PluginFiles", "PluginSubjects"]
