"""
The identity token: who came through the door, to which server, and what they may do there.

A JWT (ES256) whose claims are `IdentityClaims`. The hub signs it, the proxy and the server
verify it with the public key. Law: claims are only ever added, with a default; a reader
ignores claims that it does not know.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: `iss` of every identity token.
ISSUER: Final = "perijove"
#: Cookie that carries the token from the browser to the proxy; its path is the server's prefix.
IDENTITY_COOKIE: Final = "perijove-identity"
#: Header that carries the token from the proxy to the server. A client's own is removed.
IDENTITY_HEADER: Final = "X-Perijove-Identity"
#: Cookies of the hub that must never reach a user's server on a gated route.
HUB_COOKIES: Final = ("jupyterhub-hub-login", "__Host-jupyterhub-hub-login", "jupyterhub-session-id")
#: The one of them that signs nobody in: services may see it (contract sections b and i).
SESSION_COOKIE: Final = HUB_COOKIES[2]

#: Cookies by which a browser is known at a host of its own kind, without and with TLS: nobody else's, either.
#: Identity tokens made for that host are bound to them.
BROWSER_COOKIES: Final = ("perijove-browser", "__Host-perijove-browser")

#: What a visitor may do in a server, weakest first; each includes the ones before it.
READ: Final = "read"
WRITE: Final = "write"
EXECUTE: Final = "execute"
FULL_ACCESS: Final = (READ, WRITE, EXECUTE)

#: field -> claim, of those that are left out when they are empty
_EXTRA: Final = {"initials": "initials", "avatar_url": "picture", "color": "color", "binding": "bnd"}


def digest_of(value: str) -> str:
    """What stands for *value* where it must not be seen; as RFC 7636, 4.2, makes an S256 challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode("utf-8", "replace")).digest()).rstrip(b"=").decode()


def binding_of(cookie: str, digest: str) -> str:
    """What binds a statement to the browser that has a *cookie* whose value has this `digest_of`."""
    return f"{cookie}:{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityClaims:
    """The signed statement."""

    #: user name of the visitor
    sub: str
    #: session (browser) or `token:<id>` (hub API token) that this came from; revocations name it
    sid: str
    #: the server it is for, `owner/server_name` (the default server is `owner/`); or the service, `/services/<name>`
    aud: str
    #: subset of READ, WRITE, EXECUTE
    scope: tuple[str, ...]
    #: display name of the visitor
    name: str
    #: seconds since the epoch
    iat: int
    exp: int
    #: unique id of this statement
    jti: str
    #: how the visitor is shown, each empty if nobody says; bounded by whoever signs
    initials: str = ""
    avatar_url: str = ""
    color: str = ""
    #: made by `binding_of`: good only together with that cookie; empty: with any
    binding: str = ""

    def to_claims(self) -> dict[str, Any]:
        """The JSON form; `scope` is space-separated as in RFC 8693."""
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": self.sub,
            "sid": self.sid,
            "aud": self.aud,
            "scope": " ".join(self.scope),
            "name": self.name,
            "iat": self.iat,
            "exp": self.exp,
            "jti": self.jti,
        }
        return claims | {key: value for name, key in _EXTRA.items() if (value := getattr(self, name))}

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> IdentityClaims:
        """
        Read verified claims.

        Raises:
            ValueError: a claim is missing or has the wrong type, or the issuer is not ours.
        """
        if claims.get("iss") != ISSUER:
            raise ValueError("not issued by perijove")
        try:
            texts = {key: claims[key] for key in ("sub", "sid", "aud", "name", "jti")}
            numbers = {key: claims[key] for key in ("iat", "exp")}
            scope = claims["scope"]
        except KeyError as exc:
            raise ValueError(f"identity token lacks {exc}") from exc
        extra = {name: claims.get(key, "") for name, key in _EXTRA.items()}
        if not all(isinstance(value, str) for value in (*texts.values(), *extra.values(), scope)):
            raise ValueError("identity token has a claim that is not text")
        if not all(isinstance(value, int) for value in numbers.values()):
            raise ValueError("identity token has a time that is not a number")
        return cls(**texts, **numbers, **extra, scope=tuple(str(scope).split()))
