"""
The doorstep: how somebody whom the hub knows is let in at another origin, where no cookie of the hub is.

The identity cookie of a server must be set by an answer at that server's own origin. So the hub, having decided, sends
the browser there with a code: an authorization code in all but name, kept in the same table. It is good once, for some
seconds, for one session, one server and one host, and only in the browser that set out from that host (RFC 7636): a
code in a link opens nothing for who follows it, nor makes them somebody else. The identity token is bound to the same
cookie of that browser, and never in an address.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from perijove.hub.domain.audiences import place_of
from perijove.hub.domain.errors import NotAllowed
from perijove.hub.domain.labels import Kind
from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.domain.origins import Origins
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.oauth.errors import BadChallenge
from perijove.hub.oauth.pkce import Challenge, Method, challenge_of, is_met, read_challenge
from perijove.hub.ports import IdentitySigner, Store
from perijove.hub.scopes.decision import ServiceResource
from perijove.hub.usecases.door import Door, Entry
from perijove.hub.usecases.identify import Identify
from perijove.kit.clock import Clock, Randomness
from perijove.wire.door import DOORSTEP_PATH
from perijove.wire.identity import IdentityClaims, binding_of

log = structlog.get_logger(__name__)

#: Seconds that a code is good for: a redirect, on a slow line.
CODE_SECONDS: Final = 60
CODE_BYTES: Final = 24
#: What a browser is known by between setting out and coming back.
VERIFIER_BYTES: Final = 32
#: Longest code that is looked at.
_MAX_CODE: Final = 128
#: What the codes of the doorstep are for; no OAuth client's id begins so (contract a, g).
_CLIENT: Final = "perijove-door:"
_SPENT: Final = "This way in has ended, or began in another browser. Open the address of the server again."


class Doorstep:
    """Hands over from the hub's origin to those of servers."""

    def __init__(
        self,
        *,
        store: Store,
        identify: Identify,
        door: Door,
        signer: IdentitySigner,
        clock: Clock,
        randomness: Randomness,
        origins: Origins,
        hub_prefix: str,
    ) -> None:
        self._store = store
        self._identify = identify
        self._door = door
        self._signer = signer
        self._clock = clock
        self._randomness = randomness
        self._origins = origins
        self._hub_prefix = hub_prefix

    def address(self, audience: str) -> str:
        """Where visitors of the server *audience* are let in."""
        return f"{self._origins.of(*_whose(audience))}{self._hub_prefix}{DOORSTEP_PATH}"

    def is_at(self, host: str, audience: str) -> bool:
        """Whether a request with this `Host` has come to the host of the server *audience*."""
        name, kind = _whose(audience)
        return bool(name) and self._origins.is_at(host, self._origins.host_of(name, kind))

    def set_out(self, verifier: str) -> tuple[str, str]:
        """What the browser keeps and what the hub is told of it; *verifier* is what it keeps already, if anything."""
        kept = verifier
        if not is_met(_of(challenge_of(verifier)), verifier):
            kept = self._randomness.token(VERIFIER_BYTES)
        return kept, challenge_of(kept)

    async def hand_over(self, principal: Principal, audience: str, challenge: str) -> str:
        """
        The code with which the browser of *principal*, who may enter, is let in at the other origin.

        Raises:
            NotAllowed: it came without a session, or did not set out from there.
        """
        try:
            given = read_challenge(challenge, Method.S256.value)
        except BadChallenge as exc:
            raise NotAllowed(_SPENT) from exc
        if given is None or not principal.session_id:
            raise NotAllowed(_SPENT)
        code = self._randomness.token(CODE_BYTES)
        async with self._store.unit() as unit:
            await unit.oauth_codes.add(
                OAuthCode(
                    code_hash=hash_secret(code),
                    client_id=f"{_CLIENT}{audience}",
                    user_id=principal.user_id,
                    session_id=principal.session_id,
                    redirect_uri=self.address(audience),
                    scopes=(),
                    challenge=given.text,
                    challenge_method=given.method.value,
                    expires_at=self._clock.now() + timedelta(seconds=CODE_SECONDS),
                )
            )
        return code

    async def take(self, code: str, *, host: str, cookie: str, verifier: str, address: str) -> Entry:
        """
        Let in whoever brings *code*; whatever comes of it, it is spent.

        Args:
            code: as `hand_over` made it, in this hub or another.
            host: at which host, as the `Host` field says.
            cookie: name of the cookie in which the browser kept what it set out with.
            verifier: its value.
            address: where the browser is, for the audit log.

        Raises:
            NotAllowed: the code is none, or for another browser, server or host, or has ended; or its session has.
            NoSuchServer: the server has gone, or may no longer be entered.
        """
        if not code or len(code) > _MAX_CODE:
            raise NotAllowed(_SPENT)
        async with self._store.unit() as unit:
            row = await unit.oauth_codes.take(hash_secret(code))
        audience = row.client_id.removeprefix(_CLIENT) if row is not None else ""
        if row is None or row.client_id == audience or row.expires_at <= self._clock.now():
            raise NotAllowed(_SPENT)
        is_here = row.redirect_uri == self.address(audience) and self.is_at(host, audience)
        if not is_here or not is_met(_of(row.challenge), verifier):
            log.info("doorstep.refused", server=audience, is_here=is_here)
            raise NotAllowed(_SPENT)
        principal = await self._identify.by_session_id(row.session_id)
        if principal is None or principal.user_id != row.user_id:
            raise NotAllowed("Sign in to open this server.")
        binding = binding_of(cookie, row.challenge)
        return await self._door.enter(replace(principal, address=address), audience, binding=binding)

    async def left_open(
        self, identity: str, audiences: Iterable[str], *, host: str, cookie: str, verifier: str
    ) -> Principal | None:
        """
        Whoever a page is from that was left open at the host of one of *audiences*, by what the door would let in.

        Args:
            identity: the identity token that came with the request.
            audiences: of the servers that the request can be for.
            host: at which host, as the `Host` field says.
            cookie: name of the cookie that the token is bound to.
            verifier: its value.
        """
        now = self._clock.now()
        for audience in audiences:
            found = self._signer.read(identity, audience=audience, now=now) if self.is_at(host, audience) else None
            claims = IdentityClaims.from_claims(found) if found is not None else None
            if claims is None or claims.binding != binding_of(cookie, challenge_of(verifier)):
                continue
            principal = await self._identify.by_session_id(claims.sid)
            return principal if principal is not None and principal.name == claims.sub else None
        return None


def _whose(audience: str) -> tuple[str, Kind]:
    """Whose host the server or service *audience* is at."""
    place = place_of(audience)
    return (place.name, "service") if isinstance(place, ServiceResource) else (place.user, "user")


def _of(challenge: str) -> Challenge:
    return Challenge(text=challenge, method=Method.S256)
