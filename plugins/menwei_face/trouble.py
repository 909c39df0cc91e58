"""What can be wrong with the template vault. Needs nothing installed, so that it can be told before numpy is."""

from __future__ import annotations


class VaultTrouble(Exception):
    """The vault cannot be used; the text says why and holds nothing personal."""


class VaultLocked(VaultTrouble):
    """The keys were wrapped under another machine key."""


class VaultBusy(VaultTrouble):
    """Another process has the vault open for writing."""
