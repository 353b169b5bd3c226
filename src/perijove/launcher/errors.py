"""
What can go wrong when the launcher is asked for something.

    LauncherError
    ├── Forbidden
    ├── BadRequest
    ├── AlreadyRunning
    ├── Stale
    ├── NoSuchUser
    ├── LaunchFailed
    │   └── TemplateLost
    └── Unenforceable

`kind` is the word that crosses the socket (wire/launcher.py).
"""

from __future__ import annotations

from typing import ClassVar

from perijove.wire import launcher as wire


class LauncherError(Exception):
    """The launcher could not do what was asked."""

    kind: ClassVar[str] = wire.LAUNCH_FAILED

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__class__.__doc__ or "").strip())


class Forbidden(LauncherError):
    """Only the hub may ask the launcher."""

    kind = wire.FORBIDDEN


class BadRequest(LauncherError):
    """The launcher does not understand the request."""

    kind = wire.BAD_REQUEST


class AlreadyRunning(LauncherError):
    """An older generation of this server still runs; stop it first."""

    kind = wire.ALREADY_RUNNING


class Stale(LauncherError):
    """A newer generation of this server has been seen; the request comes too late."""

    kind = wire.STALE


class NoSuchUser(LauncherError):
    """There is no system user for this person, and none may be made."""

    kind = wire.NO_SUCH_USER


class LaunchFailed(LauncherError):
    """The server could not be launched."""

    kind = wire.LAUNCH_FAILED


class TemplateLost(LaunchFailed):
    """The warm template died during the fork; ask again."""


class Unenforceable(LauncherError):
    """A limit was asked for that this machine cannot enforce."""

    kind = wire.UNENFORCEABLE
