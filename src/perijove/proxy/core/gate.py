"""
The door's decision: may this request enter that server? (ARCHITECTURE.md, "The door".)

Deny is the default. Everything that must be looked up is a cache that others fill: verdicts on signatures
by `verify`, exchanged hub tokens by `learn`. A decision carries its reason and says what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar
from urllib.parse import quote, unquote_to_bytes

from perijove.proxy.core.requests import RequestHead
from perijove.proxy.core.revocation import RevocationList
from perijove.wire.identity import IdentityClaims, binding_of, digest_of

#: Good statements and exchanged tokens remembered, each; the oldest is forgotten first.
MAX_REMEMBERED: Final = 20_000
#: Bad statements and refused tokens remembered, each: strangers make them up, as long as they may be.
MAX_REFUSED: Final = 1000
#: Longest hub token; the hub looks at no longer one.
MAX_TOKEN: Final = 256
#: Seconds for which "the hub refused this token" is believed.
REFUSAL_SECONDS: Final = 3.0
#: Seconds before its expiry at which an exchanged token is exchanged again.
EXPIRY_MARGIN: Final = 20.0

_SAFE_METHODS: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_TOKEN_PARAMETER: Final = b"token"
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(slots=True)
class Allow:
    """
    Let it in, as this person. Never changed; not frozen because that costs a microsecond, and one is made a request.
    """

    #: the identity token to pass on
    identity: str
    claims: IdentityClaims
    #: what to ask the server for: the request's target without a hub token in it
    target: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """A navigation without a statement: send it to the hub's entrance."""

    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Answer 403."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskHub:
    """Exchange this hub API token for a statement, `learn` the outcome, and decide again."""

    token: str


Decision: TypeAlias = Allow | Enter | Refuse | AskHub
#: (identity token, audience) -> claims, or None if it is not good
Verify: TypeAlias = Callable[[str, str], IdentityClaims | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """What became of a hub token."""

    #: identity token; empty: the hub refused
    identity: str
    #: seconds since the epoch until which this is believed
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A session that uses a server."""

    sid: str
    user: str
    audience: str
    #: what its statement says it may do there
    scope: tuple[str, ...] = ()

    @classmethod
    def of(cls, claims: IdentityClaims) -> Visit:
        """The visit that *claims* let in."""
        return cls(sid=claims.sid, user=claims.sub, audience=claims.aud, scope=claims.scope)


class _Verdict:
    """A good statement for one server, and whether it was used since the last recheck."""

    __slots__ = ("claims", "unrevoked", "used")

    def __init__(self, claims: IdentityClaims) -> None:
        self.claims = claims
        self.used = False
        #: the version of the revocations that do not concern it
        self.unrevoked = -1


class Gate:
    """Decides, and remembers what it needs for deciding quickly."""

    def __init__(
        self,
        *,
        verify: Verify,
        revocations: RevocationList,
        enter_path: str,
        limit: int = MAX_REMEMBERED,
        is_behind: bool = False,
        keeps_sites_apart: bool = False,
    ) -> None:
        """
        Args:
            verify: checks signatures.
            revocations: whom to refuse although the signature is good.
            enter_path: where navigations without a statement are sent.
            limit: good statements remembered.
            is_behind: whether all requests come through somebody who removes the identity header of clients and
                moves statements that were good a moment ago into it. They are checked like those in cookies.
            keeps_sites_apart: whether pages of other hosts get nothing by cookies but top-level navigations. Where
                every user has a host below the hub's, all of them are one site to browsers, which send cookies
                along with what scripts, pictures and style sheets of others' pages ask for.
        """
        self._verify = verify
        self._revocations = revocations
        self._enter_path = enter_path
        self._limit = limit
        self._is_behind = is_behind
        self._keeps_sites_apart = keeps_sites_apart
        self._verdicts: dict[tuple[str, str], _Verdict] = {}
        self._refused: dict[tuple[str, str], None] = {}
        self._exchanged: dict[tuple[str, str], Exchanged] = {}
        self._refused_tokens: dict[tuple[str, str], Exchanged] = {}

    def decide(self, *, audience: str, request: RequestHead, now: float) -> Decision:
        """
        Whether *request* may enter the server *audience*.

        Args:
            audience: `owner/server_name` of the route; empty refuses everybody.
            request: its head.
            now: seconds since the epoch.
        """
        if not audience:
            return Refuse(reason="This address is closed: its route names no server.")
        fields = request.fields
        if (
            len(fields.identities) == 1
            and request.method in _SAFE_METHODS
            and not (fields.hub_token or request.upgrade or (self._is_behind and fields.sent_identity))
            and not (self._keeps_sites_apart and _is_embedded(request))
        ):
            # By far the commonest request: one statement, and nothing that it could change.
            claims = self._admit(fields.identities[0], audience, now)
            if claims is not None and (not claims.binding or is_bound(claims, request)):
                return Allow(fields.identities[0], claims, request.target)
        token, target = hub_token_of(request) if request.upgrade else (request.fields.hub_token, request.target)
        if len(token) > MAX_TOKEN:
            return Refuse(reason="This is no token of the hub.")
        if token:
            key = (token, audience)
            exchanged = self._exchanged.get(key) or self._refused_tokens.get(key)
            if exchanged is None or exchanged.until < now:
                return AskHub(token=token)
            if exchanged.identity:
                claims = self._admit(exchanged.identity, audience, now)
                # Revoked or expired since: the token itself may still be good.
                return Allow(exchanged.identity, claims, target) if claims else AskHub(token=token)
        return self._decide_by_cookie(audience, request, target, now, refused_token=bool(token))

    def learn(self, *, token: str, audience: str, exchanged: Exchanged) -> None:
        """Remember what became of a hub token."""
        key = (token, audience)
        if exchanged.identity:
            _remember(self._exchanged, key, exchanged, self._limit)
        else:
            self._exchanged.pop(key, None)
            _remember(self._refused_tokens, key, exchanged, MAX_REFUSED)

    def forget(self) -> None:
        """Forget all verdicts: the keys have changed."""
        self._verdicts.clear()
        self._refused.clear()

    def sessions(self) -> int:
        """How many good statements are remembered."""
        return len(self._verdicts)

    def take_visits(self) -> list[Visit]:
        """Who used what since the last call."""
        visits = []
        for verdict in self._verdicts.values():
            if verdict.used:
                verdict.used = False
                visits.append(Visit.of(verdict.claims))
        return visits

    def _decide_by_cookie(
        self, audience: str, request: RequestHead, target: bytes, now: float, *, refused_token: bool
    ) -> Decision:
        identities = self._identities(request)
        admitted = [
            (identity, claims)
            for identity in identities
            if (claims := self._admit(identity, audience, now)) is not None and is_bound(claims, request)
        ]
        if len({claims.sub for _, claims in admitted}) > 1:
            # Script of a user's server can plant its owner's own cookie at a longer path, which comes first:
            # nobody must work, unknowingly, as somebody else.
            return Refuse(reason="This browser has cookies of two people for this server. Remove them and sign in.")
        for identity, claims in admitted:
            # A browser sends cookies along with what other sites ask for: what changes something must
            # come from this very host. Tokens in headers need no such check.
            is_harmless = _is_harmless(request) and not (self._keeps_sites_apart and _is_embedded(request))
            if not is_harmless and not is_same_origin(request):
                return Refuse(reason="This request comes from another site.")
            return Allow(identity, claims, target)
        if is_navigation(request) and not refused_token:
            return Enter(location=self._entrance(audience, request))
        return Refuse(reason="Sign in, or send a token that may access this server.")

    def _identities(self, request: RequestHead) -> tuple[str, ...]:
        fields = request.fields
        if self._is_behind and fields.sent_identity:
            return (*fields.identities, fields.sent_identity)
        return fields.identities

    def _admit(self, identity: str, audience: str, now: float) -> IdentityClaims | None:
        key = (identity, audience)
        verdict = self._verdicts.get(key)
        if verdict is None:
            good = self._verify(identity, audience) if key not in self._refused else None
            if good is None:
                _remember(self._refused, key, None, MAX_REFUSED)
                return None
            verdict = _Verdict(good)
            _remember(self._verdicts, key, verdict, self._limit)
        claims = verdict.claims
        if claims.exp < now:
            return None
        if verdict.unrevoked != self._revocations.version:
            if self._revocations.refuses(claims):
                return None
            verdict.unrevoked = self._revocations.version
        verdict.used = True
        return claims

    def _entrance(self, audience: str, request: RequestHead) -> str:
        where = quote(request.target.decode("ascii"), safe="/")
        return f"{self._enter_path}?server={quote(audience, safe='/')}&next={where}"


def hub_token_of(request: RequestHead) -> tuple[str, bytes]:
    """
    The hub API token that *request* carries, and its target without it.

    Browsers cannot set a header on a WebSocket, so there `?token=` is one as well (as Jupyter Server has it).
    """
    if not request.is_upgrade:
        return request.fields.hub_token, request.target
    path, _, query = request.target.partition(b"?")
    kept, found = [], ""
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if unquote_to_bytes(name) == _TOKEN_PARAMETER:
            found = found or unquote_to_bytes(value).decode("latin-1")
        else:
            kept.append(pair)
    rest = b"&".join(kept)
    return request.fields.hub_token or found, path + b"?" + rest if rest else path


def is_same_origin(request: RequestHead) -> bool:
    """Whether the page behind *request* is of this host, as far as the browser says."""
    fields = request.fields
    if fields.fetch_site and fields.fetch_site not in {b"same-origin", b"none"}:
        return False
    if not fields.origin:
        return True
    scheme, _, host = fields.origin.partition(b"://")
    return bool(host) and _without_port(scheme, host) == _without_port(scheme, fields.host)


def is_bound(claims: IdentityClaims, request: RequestHead) -> bool:
    """
    Whether *request* comes from the browser that *claims* were made for, if they were made for one.

    Script at a sibling host can plant its owner's own statement here (RFC 6265, 8.6), but over TLS not the cookie that
    the statement is bound to, whose name begins with `__Host-` (RFC 6265bis, 4.1.3.2).
    """
    if not claims.binding:
        return True
    cookie = claims.binding.partition(":")[0]
    return {binding_of(name, digest_of(value)) for name, value in request.fields.browsers if name == cookie} == {
        claims.binding
    }


def is_navigation(request: RequestHead) -> bool:
    """Whether somebody looks at a page, rather than a script at data."""
    fields = request.fields
    return (
        request.method in {b"GET", b"HEAD"}
        and fields.accepts_html
        and fields.fetch_mode in {b"", b"navigate"}
        and not request.is_upgrade
    )


def _is_embedded(request: RequestHead) -> bool:
    """Whether a page of another origin asks for this to use it itself, rather than to go there."""
    fields = request.fields
    return fields.fetch_site not in {b"", b"same-origin", b"none"} and fields.fetch_mode != b"navigate"


def _is_harmless(request: RequestHead) -> bool:
    return request.method in _SAFE_METHODS and not request.is_upgrade


def _without_port(scheme: bytes, host: bytes) -> bytes:
    return host.lower().removesuffix(b":443" if scheme.lower() == b"https" else b":80")


def _remember(known: dict[_K, _V], key: _K, value: _V, limit: int) -> None:
    known[key] = value
    if len(known) > limit:
        del known[next(iter(known))]
