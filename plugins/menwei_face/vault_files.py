"""The names of the vault's files, for whoever counts or backs up without opening them."""

TEMPLATES = "templates.db"
KEYS = "keys.db"
COPY = "keys.copy"
