"""
Who came through the door, as Jupyter Server knows people.
"""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_server.auth import User

from perijove.wire.identity import EXECUTE, WRITE, IdentityClaims


@dataclass
class Visitor(User):
    """A Jupyter Server user with the scopes of their identity token."""

    scopes: tuple[str, ...] = ()
    #: came with a hub API token: a program, which no other site can make send requests
    by_token: bool = False

    @property
    def may_save(self) -> bool:
        """Whether files can be changed."""
        return WRITE in self.scopes

    @property
    def may_run(self) -> bool:
        """Whether code can be run: then everything can be done."""
        return EXECUTE in self.scopes

    @property
    def refusal(self) -> str:
        """What to say when they ask for more, a sentence."""
        if self.may_save:
            return "You may look at this server's files and change them, but not run code here."
        return "You may look at this server, but not change anything or run code here."


def visitor(claims: IdentityClaims) -> Visitor:
    """The visitor that *claims* speak of."""
    shown = claims.name or claims.sub
    initials = "".join(word[0] for word in shown.split()[:2]).upper()
    return Visitor(
        username=claims.sub,
        name=shown,
        display_name=shown,
        initials=claims.initials or initials or None,
        avatar_url=claims.avatar_url or None,
        color=claims.color or None,
        scopes=claims.scope,
        by_token=claims.sid.startswith("token:"),
    )
