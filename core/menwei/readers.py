"""Readers by the words a desk uses ("device/reader"): which one that is, and whether it reads cards or documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei.model import DeviceInfo

if TYPE_CHECKING:
    from menwei.services import House


def card_reader(house: House, text: str) -> tuple[str, str]:
    """Device and reader of a door, or of a desk where cards are enrolled. Raises `KeyError` when there is none."""
    device, _, reader = text.partition("/")
    here = _info(house, device)
    there = (device, reader) in house.site.readers or (here is not None and reader in here.readers)
    no_cards = here is not None and reader in (*here.documents, *here.cardless)
    if not there or no_cards:
        raise KeyError(text)
    return device, reader


def document_reader(house: House, text: str) -> tuple[str, str]:
    """Device and reader of an enrolment reader for identity documents. Raises `KeyError` when there is none."""
    device, _, reader = text.partition("/")
    here = _info(house, device)
    if here is None or reader not in here.documents:
        raise KeyError(text)
    return device, reader


def _info(house: House, device: str) -> DeviceInfo | None:
    return house.supervisor.info(device) if device in house.drivers() else None
