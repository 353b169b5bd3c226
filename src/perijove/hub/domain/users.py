"""
A user, and what a user may be called. Accounts (passwords) are `accounts.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from perijove.hub.domain.errors import InvalidName
from perijove.hub.domain.managed_roles import ManagedRole

#: Longest user name. Longer ones break paths, cookies and unix sockets somewhere.
MAX_NAME: Final = 64
_NAME: Final = re.compile(r"[\w][\w.@+-]*", re.UNICODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may sign in. The id is the key; the name is a label."""

    id: int
    name: str
    admin: bool
    created: datetime
    last_activity: datetime | None = None
    display_name: str = ""
    #: what the sign-in method tells of them for others to see (`user_info.py`); None: nothing
    user_info: Mapping[str, Any] | None = field(default=None, hash=False)
    #: what roles it says that they have; None: it says nothing
    managed_roles: tuple[ManagedRole, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user with all that the store knows of what they may do; the rest is the configuration's."""

    user: User
    #: names of their groups, in order
    groups: tuple[str, ...] = ()
    #: scopes that others' shares give them, directly or by a group, each for one server; in order
    shared: tuple[str, ...] = ()


def normalise(name: str) -> str:
    """*name* as it is stored and compared: NFC, lower case, no outer spaces."""
    return unicodedata.normalize("NFC", name.strip()).lower()


def check(name: str) -> str:
    """
    *name*, if it can be a user's name: it becomes a URL segment, a cookie path and a directory.

    Raises:
        InvalidName: it is empty, too long, only dots, or has a character that breaks one of these.
    """
    if not name or len(name) > MAX_NAME or not _NAME.fullmatch(name) or ".." in name:
        raise InvalidName
    return name
