"""
What a call of the control API means (contract section h and `wire/control.py`).

Knows nothing of sockets: a call comes in as a value and an answer goes out as one. What a call changes is
behind `ControlBackend`.
"""

from __future__ import annotations

import hmac
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, unquote

from perijove.proxy.core.answers import Answer
from perijove.proxy.core.errors import BadControlCall, Outdated, TooManyRoutes, Unacknowledged
from perijove.wire import control as wire
from perijove.wire.control import ROUTES_PATH, Revocation

_TOKEN: Final = re.compile(r"token\s+(\S+)")
#: An entity tag, and a list of them (RFC 9110, sections 8.8.3 and 13.1.1).
_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')
_TAGS: Final = re.compile(rf"[ \t,]*{_TAG.pattern}(?:[ \t]*,[ \t,]*{_TAG.pattern})*[ \t,]*")

#: What configurable-http-proxy calls its calls.
_NAMES: Final = {"GET": "get", "POST": "add", "DELETE": "delete"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call."""

    method: str
    #: path and query as sent
    target: str
    #: the `Authorization` header, empty if there was none
    authorization: str
    body: bytes
    #: the `If-Match` header, None if there was none
    if_match: str | None = None


class ControlBackend(Protocol):
    """
    What the API reads and changes.

    Methods that raise `BadControlCall` or `Outdated` have changed nothing; those that raise `Unacknowledged` have.
    """

    async def routes(self) -> dict[str, dict[str, Any]]:
        """All routes: body as posted, plus `last_activity` in seconds since the epoch."""

    def version(self) -> str:
        """Names the table as it is now: other printable ASCII after each change, and in each proxy."""

    async def put_route(self, path: str, body: Mapping[str, Any]) -> None: ...  # noqa: D102

    async def remove_route(self, path: str) -> bool:
        """Whether there was one."""

    async def replace_routes(
        self, bodies: Mapping[str, Mapping[str, Any]], *, versions: Collection[str] | None
    ) -> None:
        """
        Make the table exactly this.

        Args:
            bodies: path -> body as posted.
            versions: those of which the table may be; None: any.

        Raises:
            Outdated: it is of another version.
        """

    async def set_keys(self, jwks: Sequence[Mapping[str, Any]]) -> None: ...  # noqa: D102

    async def revoke(self, revocation: Revocation) -> None: ...  # noqa: D102

    async def door(self) -> dict[str, Any]: ...  # noqa: D102


class ControlApi:
    """Answers calls."""

    def __init__(self, *, backend: ControlBackend, auth_token: str) -> None:
        """
        Args:
            backend: what calls act on.
            auth_token: the shared secret; empty leaves the API open, as configurable-http-proxy does.
        """
        self._backend = backend
        self._auth_token = auth_token
        #: calls that were answered, by status
        self.statuses: Counter[int] = Counter()
        #: calls about routes: `get`, `add`, `delete`
        self.calls: Counter[str] = Counter()

    async def answer(self, call: Call) -> Answer:
        """Do what *call* says."""
        answer = await self._answer(call)
        self.statuses[answer.status] += 1
        return answer

    async def _answer(self, call: Call) -> Answer:
        if not self._is_authorized(call.authorization):
            return Answer(status=HTTPStatus.FORBIDDEN)
        try:
            return await self._dispatch(call)
        except TooManyRoutes as exc:
            return _text(HTTPStatus.INSUFFICIENT_STORAGE, str(exc))
        except BadControlCall as exc:
            return _text(HTTPStatus.BAD_REQUEST, str(exc))
        except Outdated as exc:
            return _text(HTTPStatus.PRECONDITION_FAILED, str(exc))
        except Unacknowledged as exc:
            return _text(HTTPStatus.SERVICE_UNAVAILABLE, str(exc))

    async def _dispatch(self, call: Call) -> Answer:
        path, _, query = call.target.partition("?")
        if path == ROUTES_PATH or path.startswith(ROUTES_PATH + "/"):
            return await self._routes(call, unquote(path.removeprefix(ROUTES_PATH)), query)
        match path.rstrip("/"), call.method:
            case wire.KEYS_PATH, "PUT":
                return await self._set_keys(call)
            case wire.REVOCATIONS_PATH, "POST":
                return await self._revoke(call)
            case wire.DOOR_PATH, "GET":
                return _json(await self._backend.door())
            case ((wire.KEYS_PATH | wire.REVOCATIONS_PATH | wire.DOOR_PATH), _):
                return _not_supported()
        return _text(HTTPStatus.NOT_FOUND, "Not Found")

    def _is_authorized(self, authorization: str) -> bool:
        if not self._auth_token:
            return True
        match = _TOKEN.fullmatch(authorization)
        given = match[1] if match else ""
        return hmac.compare_digest(given.encode(), self._auth_token.encode())

    async def _routes(self, call: Call, path: str, query: str) -> Answer:
        is_whole = not path.strip("/")
        self.calls[_NAMES.get(call.method, "")] += 1
        match call.method:
            case "GET" if is_whole and not path:
                return await self._list(query)
            case "GET":
                route = (await self._backend.routes()).get("/" + path.strip("/"))
                return _json(_shown(route)) if route is not None else Answer(status=HTTPStatus.NOT_FOUND)
            case "POST":
                await self._backend.put_route(path, _object(call.body))
                return Answer(status=HTTPStatus.CREATED)
            case "DELETE":
                was_there = await self._backend.remove_route(path)
                return Answer(status=HTTPStatus.NO_CONTENT if was_there else HTTPStatus.NOT_FOUND)
            case "PUT" if is_whole:
                return await self._replace(call)
        return _not_supported()

    async def _list(self, query: str) -> Answer:
        arguments = parse_qs(query)
        since = [*arguments.get("inactive_since", []), *arguments.get("inactiveSince", [])]
        limit = _moment(since[0]) if since else None
        routes = await self._backend.routes()
        # No `await` between the two: the version is that of what is listed.
        tag = f'ETag: "{self._backend.version()}"\r\n'.encode("ascii")
        listed = {
            path: _shown(route) for path, route in routes.items() if limit is None or route["last_activity"] < limit
        }
        return replace(_json(listed), fields=tag)

    async def _replace(self, call: Call) -> Answer:
        bodies = _object(call.body)
        if not all(isinstance(body, dict) for body in bodies.values()):
            raise BadControlCall("Every route must be an object")
        await self._backend.replace_routes(bodies, versions=_versions(call.if_match))
        return Answer(status=HTTPStatus.NO_CONTENT)

    async def _set_keys(self, call: Call) -> Answer:
        keys = _object(call.body).get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise BadControlCall("Must specify 'keys' as list of objects")
        await self._backend.set_keys(keys)
        return Answer(status=HTTPStatus.NO_CONTENT)

    async def _revoke(self, call: Call) -> Answer:
        await self._backend.revoke(read_revocation(_object(call.body)))
        return Answer(status=HTTPStatus.NO_CONTENT)


def read_revocation(body: Mapping[str, Any]) -> Revocation:
    """
    Read the JSON form of a revocation.

    Raises:
        BadControlCall: it is none.
    """
    before = body.get("before")
    sid, user, audience = (body.get(key, "") for key in ("sid", "user", "audience"))
    if not isinstance(before, int) or isinstance(before, bool):
        raise BadControlCall("Must specify 'before' as integer")
    if not (isinstance(sid, str) and isinstance(user, str) and isinstance(audience, str)):
        raise BadControlCall("'sid', 'user' and 'audience' must be strings")
    if bool(sid) == bool(user):
        raise BadControlCall("Must specify exactly one of 'sid' and 'user'")
    return Revocation(before=before, sid=sid, user=user, audience=audience)


def _shown(route: Mapping[str, Any]) -> dict[str, Any]:
    moment = datetime.fromtimestamp(route["last_activity"], UTC)
    stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**route, "last_activity": stamp}


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise BadControlCall(f"Invalid datestamp '{text}' must be ISO8601.") from exc
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _versions(if_match: str | None) -> frozenset[str] | None:
    """Those that `If-Match` asks for; None: any."""
    if if_match is None or if_match.strip(" \t") == "*":
        return None
    if not _TAGS.fullmatch(if_match):
        raise BadControlCall("If-Match must be a list of entity tags, or *")
    # A weak one never matches (RFC 9110, section 13.1.1).
    return frozenset(tag[2] for tag in _TAG.finditer(if_match) if not tag[1])


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError as exc:
        raise BadControlCall("Body not valid JSON") from exc
    if not isinstance(content, dict):
        raise BadControlCall("Body must be a JSON object")
    return content


def _json(content: Mapping[str, Any]) -> Answer:
    return Answer(status=HTTPStatus.OK, body=json.dumps(content).encode(), content_type="application/json")


def _text(status: HTTPStatus, text: str) -> Answer:
    return Answer(status=status, body=text.encode(), content_type="text/plain; charset=utf-8")


def _not_supported() -> Answer:
    return _text(HTTPStatus.METHOD_NOT_ALLOWED, "Method not supported")
