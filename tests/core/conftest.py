"""Fixtures of the HTTP tests."""

from small_house import client, empty_house, house

__all__ = ["client", "empty_house", "house"]
