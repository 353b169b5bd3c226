"""
A client for the few things the proxy asks the hub: the door's questions and error pages.

HTTP/1.0 on purpose: one request per connection and no chunked answers, so a general client (and its
memory) is not needed. Calls are rare; the hot path never waits for one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from perijove.proxy.core.errors import BadResponse, ProxyError
from perijove.proxy.core.heads import END_OF_HEAD, MAX_HEAD, split_fields
from perijove.proxy.core.outages import ATTEMPT_SECONDS, Outages
from perijove.proxy.core.responses import read_response
from perijove.proxy.core.targets import Target
from perijove.proxy.net.tls import OutgoingTls
from perijove.wire.control import Revocation
from perijove.wire.door import EXCHANGE_PATH, RECHECK_PATH

#: Longest answer read: an error page, or a recheck of `MAX_VISITS` visits.
MAX_ANSWER: Final = 1024 * 1024
#: Seconds within which somebody is asked who answers, if there is one.
FAILOVER_SECONDS: Final = 2.0


class HubUnreachable(ProxyError):
    """The hub does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAnswer:
    """What it said."""

    status: int
    content_type: str
    content_encoding: str
    body: bytes


class HubClient:
    """Asks whichever hub answers: what is asked may be asked twice."""

    def __init__(
        self,
        *,
        targets: Sequence[Target],
        timeout: float,
        tls: OutgoingTls,
        outages: Outages,
        monotonic: Callable[[], float],
    ) -> None:
        """
        Args:
            targets: the hubs, at least one; what is asked for is below their base.
            timeout: seconds for an answer.
            tls: for hubs that speak https.
            outages: which of them are silent.
            monotonic: seconds, may be coarse.
        """
        self._targets = targets
        self._timeout = timeout
        self._attempt = min(ATTEMPT_SECONDS, FAILOVER_SECONDS / len(targets), timeout)
        self._tls = tls
        self._outages = outages
        self._monotonic = monotonic

    async def ask(self, path: str, *, fields: Mapping[str, str], payload: bytes | None) -> HubAnswer:
        """
        One request: GET, or POST if there is a *payload*.

        Raises:
            HubUnreachable: no complete answer in time.
        """
        *others, last = self._outages.in_order(self._targets, now=self._monotonic())
        for target in others:
            with suppress(HubUnreachable):
                return await self._try(target, path, fields, payload, self._attempt)
        return await self._try(last, path, fields, payload, self._timeout)

    async def _try(
        self, target: Target, path: str, fields: Mapping[str, str], payload: bytes | None, seconds: float
    ) -> HubAnswer:
        self._outages.trying(target, now=self._monotonic())
        try:
            async with asyncio.timeout(seconds):
                answer = await _talk(target, f"{target.base}/{path}", fields, payload, self._tls)
        except (OSError, BadResponse, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as exc:
            self._outages.failed(target, now=self._monotonic())
            raise HubUnreachable from exc
        self._outages.reached(target)
        return answer


async def _talk(
    target: Target, path: str, fields: Mapping[str, str], payload: bytes | None, tls: OutgoingTls
) -> HubAnswer:
    if target.socket:
        reader, writer = await asyncio.open_unix_connection(target.socket, limit=MAX_HEAD)
    else:
        context = tls.context if target.tls else None
        reader, writer = await asyncio.open_connection(target.host, target.port, limit=MAX_HEAD, ssl=context)
    try:
        method = "GET" if payload is None else "POST"
        lines = {"Host": target.authority, **fields}
        if payload is not None:
            lines |= {"Content-Type": "application/json", "Content-Length": str(len(payload))}
        head = f"{method} {path} HTTP/1.0\r\n" + "".join(f"{name}: {text}\r\n" for name, text in lines.items())
        writer.write(head.encode("ascii") + b"\r\n" + (payload or b""))
        await writer.drain()
        return await _read_answer(reader)
    finally:
        writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> HubAnswer:
    raw = await reader.readuntil(END_OF_HEAD)
    head = read_response(raw, None)
    if head.chunked or (head.length or 0) > MAX_ANSWER:
        raise BadResponse("The hub's answer is too long, or chunked although it was asked by HTTP/1.0.")
    if head.length is not None:
        body = await reader.readexactly(head.length)
    else:
        body = await _read_to_end(reader)
    values = {name: value.decode("latin-1") for name, value, _ in split_fields(head.lines)}
    return HubAnswer(
        status=head.status,
        content_type=values.get(b"content-type", ""),
        content_encoding=values.get(b"content-encoding", ""),
        body=body,
    )


async def _read_to_end(reader: asyncio.StreamReader) -> bytes:
    received = bytearray()
    while piece := await reader.read(MAX_HEAD):
        received += piece
        if len(received) > MAX_ANSWER:
            raise BadResponse("The hub's answer is too long.")
    return bytes(received)


class HubDoor:
    """The door's questions (`wire/door.py`)."""

    def __init__(self, *, ask: HubClient, auth_token: str) -> None:
        """
        Args:
            ask: the hub.
            auth_token: the shared secret of hub and proxy.
        """
        self._ask = ask
        self._fields = {"Authorization": f"token {auth_token}"}

    async def exchange(self, token: str, audience: str) -> tuple[str, float] | None:
        """
        An identity token for a hub API token and the seconds it is good for; None if the hub refuses.

        Raises:
            HubUnreachable: the hub did not say.
        """
        answer = await self._post(EXCHANGE_PATH, {"token": token, "audience": audience})
        if answer is None:
            return None
        identity, seconds = answer.get("identity"), answer.get("expires_in")
        if not isinstance(identity, str) or not isinstance(seconds, int | float):
            raise HubUnreachable("The hub's answer about a token is malformed.")
        return identity, float(seconds)

    async def recheck(self, visits: list[dict[str, str]], *, now: int) -> list[Revocation]:
        """
        Those of *visits* that are no longer allowed, as revocations of what was issued until *now*.

        Raises:
            HubUnreachable: the hub did not say.
        """
        answer = await self._post(RECHECK_PATH, {"visits": visits})
        if answer is None:
            raise HubUnreachable("The hub does not accept this proxy's token.")
        try:
            return [
                Revocation(before=now, sid=str(visit["sid"]), audience=str(visit["audience"]))
                for visit in answer["refused"]
            ]
        except (KeyError, TypeError) as exc:
            raise HubUnreachable("The hub's answer about visits is malformed.") from exc

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        answer = await self._ask.ask(path, fields=self._fields, payload=json.dumps(body).encode())
        if answer.status == HTTPStatus.FORBIDDEN:
            return None
        if answer.status != HTTPStatus.OK:
            raise HubUnreachable(f"The hub answered {answer.status}.")
        try:
            content = json.loads(answer.body)
        except ValueError as exc:
            raise HubUnreachable("The hub's answer is no JSON.") from exc
        if not isinstance(content, dict):
            raise HubUnreachable("The hub's answer is no JSON object.")
        return content
