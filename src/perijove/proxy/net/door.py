"""
The door with its surroundings: keys, the hub's answers, revocations and the background recheck.

What is decided is `core/gate.py`; this file feeds it. A hub that cannot be reached changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import structlog

from perijove.kit.clock import Clock
from perijove.kit.jws import SignatureError, Verifier
from perijove.kit.tasks import TaskGroup
from perijove.proxy.core.errors import BadControlCall
from perijove.proxy.core.gate import EXPIRY_MARGIN, REFUSAL_SECONDS, Allow, Decision, Exchanged, Gate, Visit
from perijove.proxy.core.requests import RequestHead
from perijove.proxy.core.revocation import RevocationList
from perijove.proxy.net.hub import HubUnreachable
from perijove.wire.control import Revocation
from perijove.wire.door import MAX_VISITS
from perijove.wire.identity import IdentityClaims

log = structlog.get_logger(__name__)

#: Exchanges under way at once; more are answered 503, so that a flood of made-up tokens cannot drown the hub.
MAX_ASKING: Final = 64


def read_keys(jwks: Sequence[Mapping[str, Any]]) -> Verifier:
    """
    What verifies statements by the public keys *jwks*.

    Raises:
        BadControlCall: one of them is no ES256 key.
    """
    try:
        return Verifier(jwks)
    # PyJWT raises its own errors and whatever its JSON reader stumbles over.
    except Exception as exc:
        raise BadControlCall("'keys' must be a list of ES256 public keys with a 'kid'") from exc


class AsksHub(Protocol):
    """What the door asks the hub."""

    async def exchange(self, token: str, audience: str) -> tuple[str, float] | None: ...  # noqa: D102

    async def recheck(self, visits: list[dict[str, str]], *, now: int) -> list[Revocation]: ...  # noqa: D102


class Front(Protocol):
    """Who stands in front of this proxy and lets in by its verdicts. Called at once, in order; must not wait."""

    def allowed(self, identity: str, claims: IdentityClaims) -> None:
        """*identity*, from a cookie, was let in."""

    def revoked(self, revocation: Revocation) -> None:
        """Verdicts that *revocation* names are no longer good."""


class Door:
    """Who may pass. Once it is on it stays on: losing the keys must not open anything."""

    def __init__(
        self,
        *,
        hub: AsksHub | None,
        clock: Clock,
        seconds: Callable[[], float],
        tasks: TaskGroup,
        enter_path: str,
        recheck_interval: float,
        revocations: RevocationList,
        on_revoked: Callable[[Revocation], None],
        open_visits: Callable[[], Iterable[Visit]],
        front: Front | None = None,
        keeps_sites_apart: bool = False,
    ) -> None:
        """
        Args:
            hub: whom to ask; None if only keys are known.
            clock: the time.
            seconds: the same since the epoch, for every request.
            tasks: owner of what runs in the background.
            enter_path: where navigations without a statement are sent.
            recheck_interval: seconds between two rechecks.
            revocations: whom to refuse although the signature is good; kept up to date by `revoke`.
            on_revoked: closes what is open in the name of a revoked session.
            open_visits: sessions that hold a WebSocket open.
            front: who is in front of this proxy; None: clients.
            keeps_sites_apart: see `Gate`.
        """
        self._hub = hub
        self._clock = clock
        self._seconds = seconds
        self._tasks = tasks
        self._recheck_interval = recheck_interval
        self._on_revoked = on_revoked
        self._open_visits = open_visits
        self._front = front
        self._verifier = Verifier([])
        self._asking: dict[tuple[str, str], asyncio.Task[bool]] = {}
        self.revocations = revocations
        self.is_on = hub is not None
        self.gate = Gate(
            verify=self._verify,
            revocations=self.revocations,
            enter_path=enter_path,
            is_behind=front is not None,
            keeps_sites_apart=keeps_sites_apart,
        )

    def set_keys(self, jwks: Sequence[Mapping[str, Any]]) -> None:
        """
        Replace the public keys.

        Raises:
            BadControlCall: one of them is no ES256 key; nothing has changed.
        """
        self._verifier = read_keys(jwks)
        self.is_on = self.is_on or bool(jwks)
        self.gate.forget()

    def decide(self, audience: str, request: RequestHead) -> Decision:
        """Whether *request* may enter *audience*."""
        decision = self.gate.decide(audience=audience, request=request, now=self._seconds())
        # What came of a hub token is not in a cookie, so nobody in front would see it again.
        if self._front is not None and isinstance(decision, Allow) and decision.identity in request.fields.identities:
            self._front.allowed(decision.identity, decision.claims)
        return decision

    def revoke(self, revocation: Revocation) -> None:
        """Refuse from now on, and close what is open."""
        self.revocations.add(revocation)
        self._on_revoked(revocation)
        if self._front is not None:
            self._front.revoked(revocation)

    async def exchange(self, token: str, audience: str) -> bool:
        """Ask the hub about a token, once for all who wait for it; False if it cannot be reached."""
        key = (token, audience)
        task = self._asking.get(key)
        if task is None:
            if len(self._asking) >= MAX_ASKING:
                return False
            task = self._tasks.start("exchange", self._exchange(token, audience))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # A waiter that goes away must not cancel the question for the others.
        return await asyncio.shield(task)

    async def recheck_forever(self) -> None:
        """Ask the hub every few minutes about every session in use: a lost revocation heals by itself."""
        while True:
            await asyncio.sleep(self._recheck_interval)
            await self.recheck()

    async def recheck(self) -> None:
        """Ask once."""
        if self._hub is None:
            return
        visits = list({*self.gate.take_visits(), *self._open_visits()})
        for start in range(0, len(visits), MAX_VISITS):
            batch = [
                {"sid": visit.sid, "user": visit.user, "audience": visit.audience, "scope": " ".join(visit.scope)}
                for visit in visits[start : start + MAX_VISITS]
            ]
            try:
                refused = await self._hub.recheck(batch, now=int(self._seconds()))
            except HubUnreachable as exc:
                log.info("door.recheck_skipped", visits=len(visits), reason=str(exc))
                return
            for revocation in refused:
                log.info("door.recheck_refused", sid=revocation.sid, audience=revocation.audience)
                self.revoke(revocation)

    async def _exchange(self, token: str, audience: str) -> bool:
        now = self._seconds()
        refused = Exchanged(identity="", until=now + REFUSAL_SECONDS)
        if self._hub is None:
            self.gate.learn(token=token, audience=audience, exchanged=refused)
            return True
        try:
            answer = await self._hub.exchange(token, audience)
        except HubUnreachable as exc:
            log.warning("door.exchange_failed", audience=audience, reason=str(exc))
            return False
        exchanged = refused
        if answer is not None:
            identity, seconds = answer
            claims = self._verify(identity, audience)
            if claims is None or self.revocations.refuses(claims):
                log.warning("door.exchange_useless", audience=audience)
            else:
                exchanged = Exchanged(identity=identity, until=now + max(seconds - EXPIRY_MARGIN, 1.0))
        self.gate.learn(token=token, audience=audience, exchanged=exchanged)
        return True

    def _verify(self, identity: str, audience: str) -> IdentityClaims | None:
        try:
            claims = self._verifier.verify(identity, audience=audience, now=self._clock.now())
            return IdentityClaims.from_claims(claims)
        except (SignatureError, ValueError):
            return None
