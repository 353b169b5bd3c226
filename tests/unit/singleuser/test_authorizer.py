from __future__ import annotations

import pytest

from perijove.singleuser.authorizer import may_act, may_request
from perijove.wire.identity import EXECUTE, FULL_ACCESS, READ, WRITE

READER = (READ,)
WRITER = (READ, WRITE)


@pytest.mark.parametrize("action", ["read", "write", "execute"])
@pytest.mark.parametrize("resource", ["contents", "kernels", "terminals", "anything"])
def test_the_owner_may_do_everything(action: str, resource: str) -> None:
    assert may_act(FULL_ACCESS, action, resource)


@pytest.mark.parametrize("resource", ["kernels", "sessions", "terminals", "server", "nbconvert", "lsp", "kernelspecs"])
def test_starting_what_computes_is_running_code(resource: str) -> None:
    assert not may_act(WRITER, "write", resource)
    assert not may_act(WRITER, "execute", resource)


def test_listening_to_events_is_reading_though_it_is_called_executing() -> None:
    assert may_act(READER, "execute", "events")
    assert not may_act((), "execute", "events")
    assert not may_act(WRITER, "write", "events")


def test_no_scope_is_no_access() -> None:
    assert not may_act((), "read", "contents")
    assert not may_request((), method="GET", path="api/contents", upgrade=False)


@pytest.mark.parametrize(
    ("scopes", "method", "path", "upgrade", "allowed"),
    [
        (READER, "GET", "api/contents/a.ipynb", False, True),
        (READER, "GET", "lab", False, True),
        (READER, "PUT", "api/contents/a.ipynb", False, False),
        (READER, "GET", "nbconvert/html/a.ipynb", False, False),
        (READER, "GET", "api/kernels/1/channels", True, True),
        (READER, "GET", "api/events/subscribe", True, True),
        ((), "GET", "api/kernels/1/channels", True, False),
        (READER, "GET", "api/kernels/1/channels/more", True, False),
        (WRITER, "GET", "lsp/ws/python", True, False),
        (WRITER, "GET", "api/collaboration/room/x", True, False),
        (WRITER, "POST", "api/events", False, False),
        (READER, "GET", "proxy/8080/", False, False),
        (WRITER, "PUT", "api/contents/a.ipynb", False, True),
        (WRITER, "PUT", "lab/api/workspaces/default", False, True),
        (WRITER, "POST", "api/kernels", False, False),
        (WRITER, "POST", "an/extension/that/asks/nobody", False, False),
        (WRITER, "POST", "api/contentsandmore", False, False),
        (WRITER, "GET", "terminals/websocket/1", True, False),
        ((EXECUTE,), "POST", "an/extension/that/asks/nobody", False, True),
    ],
)
def test_requests_are_judged_before_any_handler(
    scopes: tuple[str, ...],
    method: str,
    path: str,
    upgrade: bool,  # noqa: FBT001
    allowed: bool,  # noqa: FBT001
) -> None:
    assert may_request(scopes, method=method, path=path, upgrade=upgrade) is allowed
