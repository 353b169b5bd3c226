"""
What a visitor's scopes let them do in this server.

    read      open and see; watch what kernels say, without a word to them
    write     and save files
    execute   and everything else

Jupyter Server asks for an action on a resource. Starting or stopping what computes is running code,
whatever verb it has, so it needs `execute`. Handlers of extensions often do not ask at all: `may_request`
is asked for every request and lets those with less than `execute` only do what is known to be harmless.
"""

from __future__ import annotations

import re
from typing import Final

from jupyter_server.auth import Authorizer, User
from jupyter_server.base.handlers import JupyterHandler

from perijove.singleuser.visitor import Visitor
from perijove.wire.identity import EXECUTE, READ, WRITE

#: Resources on which anything but reading is running code, or speaks in the server's name.
_COMPUTING: Final = frozenset(
    {"kernels", "sessions", "terminals", "server", "nbconvert", "lsp", "events", "kernelspecs"}
)
#: Resources whose WebSocket only tells: Jupyter Server calls listening there executing.
_TELLING: Final = frozenset({"events"})
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Paths below the base URL that somebody with `write` may change.
_WRITABLE: Final = re.compile(r"(api/contents|lab/api/(settings|workspaces)|api/me)(/|$)")
#: Paths below the base URL that those without `execute` may not even read: code behind a GET.
_RUNS_ON_GET: Final = re.compile(r"(nbconvert|proxy|api/shutdown)(/|$)")
#: WebSockets below the base URL that those with `read` may listen to; `watching.py` is deaf to what they say.
_LISTENS: Final = re.compile(r"api/events/subscribe$|api/kernels/[^/]+/channels$")


def may_act(scopes: tuple[str, ...], action: str, resource: str) -> bool:
    """Whether *scopes* allow *action* (read, write, execute) on *resource*."""
    if EXECUTE in scopes:
        return True
    if action == "read" or (action == "execute" and resource in _TELLING):
        return READ in scopes and resource != "nbconvert"
    return action == "write" and WRITE in scopes and resource not in _COMPUTING


def may_request(scopes: tuple[str, ...], *, method: str, path: str, upgrade: bool) -> bool:
    """
    Whether *scopes* allow the request at all, before any handler sees it.

    Args:
        scopes: the visitor's.
        method: of the request.
        path: below the base URL, without a leading slash.
        upgrade: whether it opens a WebSocket.
    """
    if EXECUTE in scopes:
        return True
    if upgrade:
        return READ in scopes and _LISTENS.match(path) is not None
    if _RUNS_ON_GET.match(path):
        return False
    if method in _SAFE_METHODS:
        return READ in scopes
    return WRITE in scopes and _WRITABLE.match(path) is not None


class ScopeAuthorizer(Authorizer):
    """Answers Jupyter Server by the scopes of the visitor."""

    def is_authorized(self, handler: JupyterHandler, user: User, action: str, resource: str) -> bool:  # noqa: ARG002
        """Whether *user* may do *action* on *resource*."""
        return isinstance(user, Visitor) and may_act(user.scopes, action, resource)
