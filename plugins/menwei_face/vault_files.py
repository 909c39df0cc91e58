"""The names of the vault's files and its measure, for whoever counts or backs up without opening them."""

TEMPLATES = "templates.db"
KEYS = "keys.db"
COPY = "keys.copy"

MOST = 5
"""Templates kept of one person and model."""
