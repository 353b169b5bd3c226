"""
What can go wrong in the hub, in its own words. `web/problems.py` maps these to HTTP, nothing else does.

    HubError
    ├── NotFound                 NoSuchUser  NoSuchServer  NoSuchToken  NoSuchInvitation  NoSuchGroup
    │                            NoSuchService  NoSuchSession  NoSuchShare  NoSuchShareCode
    ├── Refused                  NotAllowed  WrongCredentials  AwaitingApproval  InvitationSpent
    ├── Conflict                 AlreadyExists  AlreadyRunning  IllegalTransition  StaleGeneration
    │                            FixedByConfiguration
    ├── Invalid                  InvalidName  InvalidServerName  InvalidScope  WeakPassword  InvalidRequest
    ├── TooMany                  TooManyAttempts  TooManyServers
    ├── LaunchFailed
    └── Unavailable              LauncherAway  ProxyAway  StoreAway  StartsPaused

The class docstring is the default message: one sentence a user can act on.
"""

from __future__ import annotations


class HubError(Exception):
    """The hub could not do this."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        """What to tell the person who asked."""
        return str(self)


class NotFound(HubError):
    """There is no such thing here."""


class NoSuchUser(NotFound):
    """There is no user of that name."""


class NoSuchServer(NotFound):
    """There is no server of that name."""


class NoSuchToken(NotFound):
    """There is no such token."""


class NoSuchGroup(NotFound):
    """There is no group of that name."""


class NoSuchService(NotFound):
    """There is no service of that name."""


class NoSuchSession(NotFound):
    """There is no such session."""


class NoSuchInvitation(NotFound):
    """This link is not valid: it was used, has ended, or never existed."""


class NoSuchShare(NotFound):
    """There is no such share."""


class NoSuchShareCode(NotFound):
    """This link is not valid: it has ended, was taken back, or never existed."""


class Refused(HubError):
    """You may not do this."""


class NotAllowed(Refused):
    """You are not allowed to do this."""


class WrongCredentials(Refused):
    """Invalid username or password."""


class AwaitingApproval(Refused):
    """Your account waits for an administrator to approve it."""


class Conflict(HubError):
    """This clashes with how things are now."""


class AlreadyExists(Conflict):
    """Something of that name exists already."""


class AlreadyRunning(Conflict):
    """The server is already running."""


class IllegalTransition(Conflict):
    """The server cannot do that in the state it is in."""


class StaleGeneration(Conflict):
    """The server was changed by somebody else in the meantime."""


class FixedByConfiguration(Conflict):
    """The configuration says so: it can be changed only there."""


class Invalid(HubError):
    """The request is not valid."""


class InvalidName(Invalid):
    """That is not a valid user name: letters, digits and . _ - @ +, beginning with a letter or digit."""


class InvalidServerName(Invalid):
    """That is not a valid server name: lower-case letters, digits and single hyphens, at most 30."""


class InvalidScope(Invalid):
    """There is no such scope."""


class WeakPassword(Invalid):
    """A password needs at least 10 characters."""


class InvalidRequest(Invalid):
    """The request is not valid."""


class TooMany(HubError):
    """Too much at once: try again later."""

    def __init__(self, message: str = "", *, retry_after: int = 60) -> None:
        super().__init__(message)
        #: whole seconds after which trying again makes sense
        self.retry_after = retry_after


class TooManyAttempts(TooMany):
    """Too many sign-in attempts. Try again in a few minutes."""


class TooManyServers(TooMany):
    """Active user limit exceeded. Try again in a few minutes."""


class Unavailable(HubError):
    """A part of perijove is away; it will be back in a moment."""


class LauncherAway(Unavailable):
    """The launcher does not answer, so servers cannot be started right now."""


class ProxyAway(Unavailable):
    """The proxy does not answer right now."""


class StoreAway(Unavailable):
    """The database does not answer right now."""


class StartsPaused(Unavailable):
    """Starts like this one have failed for several people in a row. Try again in a minute."""

    def __init__(self, message: str = "", *, retry_after: int = 60) -> None:
        super().__init__(message)
        #: whole seconds after which trying again makes sense
        self.retry_after = retry_after


class LaunchFailed(HubError):
    """The server could not be started."""

    def __init__(self, message: str = "", *, log_tail: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        #: last lines that the server wrote
        self.log_tail = log_tail
