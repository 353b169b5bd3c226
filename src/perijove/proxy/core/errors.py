"""
What can be wrong, and whose fault it is.

ProxyError
├── BadRequest       the client did it wrong: answered with `status`, connection closed
├── BadResponse      a server behind the proxy did it wrong: the client gets a 502
├── BadControlCall   the control API was called wrong: 400 with the message as text
│   ├── BadTarget    a route's target is not an address that the proxy can connect to
│   └── TooManyRoutes   the table is full: 507
├── Outdated         a call was made for an older table: 412
├── UnusableSettings the settings that were read again cannot be used
└── Unacknowledged   a change has not reached all workers in time: 503
"""

from __future__ import annotations

from perijove.proxy.core.limits import Limit


class ProxyError(Exception):
    """The proxy cannot do that."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class BadRequest(ProxyError):
    """The request is not valid HTTP/1.1."""

    def __init__(self, message: str = "", *, status: int = 400, limit: Limit | None = None) -> None:
        super().__init__(message)
        self.status = status
        #: the limit that was exceeded, if that is what is wrong
        self.limit = limit


class BadResponse(ProxyError):
    """The server behind the proxy gave an answer that is not valid HTTP/1.1."""


class BadControlCall(ProxyError):
    """The control API does not understand this call."""


class BadTarget(BadControlCall):
    """A target must look like http://host:port, https://host:port or http+unix://%2Fpath%2Fof.sock."""


class TooManyRoutes(BadControlCall):
    """The table holds as many routes as it may; remove some, or raise --max-routes."""


class Outdated(ProxyError):
    """The table has changed since it was read; read it again."""


class Unacknowledged(ProxyError):
    """The change is made, but not every worker has said in time that it has it."""


class UnusableSettings(ProxyError):
    """The settings cannot be used."""
