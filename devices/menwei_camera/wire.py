"""Messages between the core and the worker: four bytes of length, then the message.

To the worker goes pickle. From the worker comes JSON alone: it decodes what strangers' cameras send, so the core
believes it no more than any other peer.
"""

from __future__ import annotations

import json
import pickle
import struct
from typing import Any

LENGTH = struct.Struct(">I")
LONGEST = 32 * 1024 * 1024


class WireError(Exception):
    """What came is no message."""


def to_worker(message: Any) -> bytes:
    return _framed(pickle.dumps(message))


def to_core(message: dict[str, Any]) -> bytes:
    return _framed(json.dumps(message, separators=(",", ":")).encode())


def in_worker(payload: bytes) -> Any:
    return pickle.loads(payload)  # noqa: S301  from our own parent process


def in_core(payload: bytes) -> dict[str, Any]:
    """Raises `WireError`."""
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise WireError(f"no JSON: {type(error).__name__}") from error
    if not isinstance(message, dict):
        raise WireError("no object")
    return message


def length(head: bytes) -> int:
    """Raises `WireError` for a message that is too long to be one."""
    (count,) = LENGTH.unpack(head)
    if count > LONGEST:
        raise WireError(f"a message of {count} bytes")
    return int(count)


def _framed(payload: bytes) -> bytes:
    return LENGTH.pack(len(payload)) + payload
