"""What reaches this machine alone. One rule: for what the config may ask, where we listen, and the name a request shows."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether `host`, an address or a name without a port, is this machine and nobody else can reach it by it.

    Of names only `localhost` is (RFC 6761, 6.3): where any other points is said by whoever answers for it.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
