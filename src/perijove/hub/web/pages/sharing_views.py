"""
Shares and codes as the templates want them: what somebody may do in words, and where the buttons lead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from perijove.hub.domain.principals import Principal
from perijove.hub.domain.shares import Share
from perijove.hub.scopes.catalog import CATALOG
from perijove.hub.scopes.decision import ServerResource, may, reach
from perijove.hub.scopes.rights import SCOPE_OF_RIGHT, strongest
from perijove.hub.usecases.share_codes import Offer
from perijove.hub.usecases.shares import Granted
from perijove.hub.web.pages.views import Addresses, ServerView, TimeView, server_view, time_view
from perijove.wire.identity import EXECUTE, READ, WRITE

#: right → what one may do with it, the middle of a sentence
WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        READ: "look at files and results",
        WRITE: "look at files and change them, without running code",
        EXECUTE: "do everything: run code, and change and delete files",
    }
)
#: names that a card of the home page lists before it only counts
_LISTED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelView:
    """A choice of how much to share."""

    scope: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareView:
    """Who has a share of one's server."""

    name: str
    #: `user` or `group`: also the name of the form's field
    kind: str
    may: str
    since: TimeView


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A code that can still be taken."""

    id: str
    may: str
    ends: TimeView
    taken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SharingView:
    """What the card of one's own server says about sharing it."""

    #: empty: one may not share it
    url: str
    #: empty: nobody else has access
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedView:
    """Somebody else's server."""

    owner: str
    server_name: str
    title: str
    may: str
    open_url: str
    #: the group by which it is shared; empty: with oneself, so that one can leave it
    group: str
    server: ServerView


def may_do(scopes: Sequence[str]) -> str:
    """What bare *scopes* let somebody do in a server, in words."""
    right = strongest(tuple(scopes))
    below = frozenset(SCOPE_OF_RIGHT.values())
    others = [CATALOG[scope].description.rstrip(".").lower() for scope in scopes if scope not in below]
    return "; ".join([*([WORDS[right]] if right else []), *others])


def title_of(owner: str, server_name: str) -> str:
    """What to call a server of somebody else."""
    return f"The server {server_name} of {owner}" if server_name else f"The server of {owner}"


def levels(principal: Principal, server: ServerResource) -> list[LevelView]:
    """What *principal* can share of *server*, least first: nobody gives what they have not."""
    return [
        LevelView(scope=scope, text=f"{WORDS[right][0].upper()}{WORDS[right][1:]}")
        for right, scope in SCOPE_OF_RIGHT.items()
        if may(principal, scope, server)
    ]


def knows_people(principal: Principal) -> bool:
    """Whether *principal* knows anybody's name but their own, so that they can share by name."""
    users, groups = reach(principal, "read:users:name"), reach(principal, "read:groups:name")
    return users.everything or groups.everything or bool(users.users - {principal.name}) or bool(groups.groups)


def share_views(granted: Iterable[Granted], now: datetime) -> list[ShareView]:
    """Everybody who has a share."""
    return [
        ShareView(
            name=item.share.user or item.share.group,
            kind="group" if item.share.group else "user",
            may=may_do(item.share.scopes),
            since=time_view(item.share.created, now),
        )
        for item in granted
    ]


def link_views(offers: Iterable[Offer], now: datetime) -> list[LinkView]:
    """Codes that can still be taken."""
    return [
        LinkView(
            id=offer.code.public_id,
            may=may_do(offer.code.scopes),
            ends=time_view(offer.code.expires_at, now),
            taken=offer.code.exchange_count,
        )
        for offer in offers
    ]


def shared_views(granted: Iterable[Granted], addresses: Addresses, now: datetime) -> list[SharedView]:
    """What others share with somebody."""
    return [_shared_view(item, addresses, now) for item in granted]


def who_has(shares: Iterable[Share]) -> str:
    """The first few who have a share, and how many more there are; empty: nobody."""
    names = [share.user or f"group {share.group}" for share in shares]
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def _shared_view(item: Granted, addresses: Addresses, now: datetime) -> SharedView:
    owner, name = item.share.owner, item.share.server_name
    return SharedView(
        owner=owner,
        server_name=name,
        title=f"{owner}, {item.server.display_name or name}" if name else owner,
        may=may_do(item.share.scopes),
        open_url=addresses.entrance(owner, name),
        group=item.share.group,
        server=server_view(item.server, owner, name, addresses, now),
    )
