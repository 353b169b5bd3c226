"""
What can be wrong with the database itself, said so that an administrator can act on it.

    StoreAway
    ├── DatabaseAway    DatabaseBusy
    └── StoreUnusable   SchemaTooNew  OlderHubsAlive  DatabaseCorrupt  DatabaseNotWritable  DatabaseFull
                        DumpUnusable  DatabaseInUse

What is away comes back by itself, and is waited for; what is unusable needs somebody.
"""

from __future__ import annotations

from perijove.hub.domain.errors import StoreAway


class DatabaseAway(StoreAway):
    """The database does not answer right now."""


class DatabaseBusy(DatabaseAway):
    """The database is too busy right now."""


class StoreUnusable(StoreAway):
    """The database cannot be used."""


class SchemaTooNew(StoreUnusable):
    """The database was written by a newer version of perijove: install that version, or restore a backup."""


class OlderHubsAlive(StoreUnusable):
    """Hubs of an older version still use this database: stop them first."""


class DatabaseCorrupt(StoreUnusable):
    """The database file is damaged or is no SQLite database: restore a backup."""


class DatabaseNotWritable(StoreUnusable):
    """The database file or its directory cannot be written."""


class DatabaseFull(StoreUnusable):
    """The disk of the database is full."""


class DumpUnusable(StoreUnusable):
    """The backup cannot be used."""


class DatabaseInUse(StoreUnusable):
    """The database is not empty, or is in use."""
