"""Fixtures of the HTTP tests."""

from small_house import client, house

__all__ = ["client", "house"]
