"""
What can go wrong with starting and stopping a server.

    SpawnerError
    ├── SpawnRefused          asking again will not help
    │   └── LimitUnenforceable
    ├── SpawnFailed           asking again may help
    ├── StopTimedOut
    ├── BackendUnreachable    nothing is known: it may or may not have happened
    └── UnknownSpawner
"""

from __future__ import annotations


class SpawnerError(Exception):
    """The server could not be started or stopped."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__class__.__doc__ or "").strip())


class SpawnRefused(SpawnerError):
    """The server cannot be started as it is configured."""


class LimitUnenforceable(SpawnRefused):
    """A limit is configured that this machine cannot enforce."""


class SpawnFailed(SpawnerError):
    """The server did not start; try again."""


class StopTimedOut(SpawnerError):
    """The server did not end in time."""


class BackendUnreachable(SpawnerError):
    """The launcher cannot be reached; it may be starting."""


class UnknownSpawner(SpawnerError, LookupError):
    """There is no spawner of that name."""
