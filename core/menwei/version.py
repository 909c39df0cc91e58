"""The version of Menwei and of its plugin API."""

__version__ = "0.1.0"

API_VERSION = "1.0"
"""The version of everything `menwei/__init__.py` exports. A plugin's manifest names the range it was written for."""
