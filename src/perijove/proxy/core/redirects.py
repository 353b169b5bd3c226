"""
What the port for plain HTTP answers: the same address by https, or a certificate authority's challenge.

The host in `Location` is the one that the client asked for, read strictly: what is not plainly a name or an
address is refused, so that nothing but the host that was asked can be what a browser is sent to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

from perijove.proxy.core.answers import Answer, refusal
from perijove.proxy.core.hosts import strict_host
from perijove.proxy.core.requests import RequestHead

#: Where a certificate authority looks for what it asked to be put there (RFC 8555 section 8.3).
CHALLENGE_PREFIX: Final = "/.well-known/acme-challenge/"
#: Seconds after which a client may look again while there is no certificate yet.
NO_CERTIFICATE_RETRY_SECONDS: Final = 10

HTTPS_PORT: Final = 443
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A certificate authority asks for the answer to this token."""

    token: str


Reply: TypeAlias = Answer | Challenge


def reply_to(request: RequestHead, *, port: int, has_certificate: bool = True) -> Reply:
    """
    The answer to a request that came by plain HTTP.

    Args:
        request: its head.
        port: where https is spoken, as browsers see it.
        has_certificate: whether there is anything to be sent to; while there is none, 503.
    """
    path = request.path.decode("ascii")
    if path.startswith(CHALLENGE_PREFIX):
        token = path.removeprefix(CHALLENGE_PREFIX)
        return Challenge(token=token) if is_token(token) else no_such_challenge()
    host = strict_host(request.fields.host.decode("ascii"))
    if host is None:
        return refusal(HTTPStatus.BAD_REQUEST, "This is no host that you can be sent to by https.")
    if not has_certificate:
        return Answer(
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            body=b"A certificate for this host is being obtained. Try again in a moment.\n",
            content_type="text/plain; charset=utf-8",
            fields=b"Retry-After: %d\r\n" % NO_CERTIFICATE_RETRY_SECONDS,
        )
    # A 308 keeps method and body; old programs know only the 301, which is the same for GET and HEAD.
    is_plain = request.method in {b"GET", b"HEAD"}
    where = host if port == HTTPS_PORT else f"{host}:{port}"
    return Answer(
        status=HTTPStatus.MOVED_PERMANENTLY if is_plain else HTTPStatus.PERMANENT_REDIRECT,
        fields=b"Location: https://%b%b\r\n" % (where.encode("ascii"), request.target),
    )


def no_such_challenge() -> Answer:
    """Nobody is asked about that token."""
    return refusal(HTTPStatus.NOT_FOUND, "There is no such challenge.")


def key_authorization(text: bytes) -> Answer:
    """The answer to a challenge."""
    return Answer(status=HTTPStatus.OK, body=text, content_type="application/octet-stream")


def is_token(text: str) -> bool:
    """Whether *text* can be the token of a challenge (RFC 8555 section 8.3: base64url), and so a file's name."""
    return _TOKEN.fullmatch(text) is not None
