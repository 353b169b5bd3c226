"""
Who came through the door, as Jupyter Server knows people.
"""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_server.auth import User

from perijove.wire.identity import IdentityClaims


@dataclass
class Visitor(User):
    """A Jupyter Server user with the scopes of their identity token."""

    scopes: tuple[str, ...] = ()
    #: came with a hub API token: a program, which no other site can make send requests
    by_token: bool = False


def visitor(claims: IdentityClaims) -> Visitor:
    """The visitor that *claims* speak of."""
    shown = claims.name or claims.sub
    initials = "".join(word[0] for word in shown.split()[:2]).upper()
    return Visitor(
        username=claims.sub,
        name=shown,
        display_name=shown,
        initials=initials or None,
        scopes=claims.scope,
        by_token=claims.sid.startswith("token:"),
    )
