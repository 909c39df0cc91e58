"""The machine key (`keys.py`) as the journal wants it (`chain.JournalKeys`)."""

from __future__ import annotations

from menwei.keys import Keys, SealBroken


class MachineKeys:
    """Seals, blinds and signs for the journal with the machine key, so that it works at an unattended boot."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        # Handed on as they are: each passage seals, blinds and draws random bytes.
        self.seal = keys.seal
        self.random = keys.random
        self.blind = keys.blind

    def open(self, sealed: bytes, context: bytes) -> bytes:
        try:
            return self._keys.unseal(sealed, context.decode())
        except SealBroken as error:
            raise ValueError(str(error)) from error

    def sign(self, data: bytes) -> bytes:
        return self._keys.sign(data)

    def verify(self, data: bytes, sig: bytes) -> bool:
        return self._keys.verify(sig, data)
