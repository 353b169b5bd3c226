"""
Local accounts and the links that make them: password hashes, approval, invitations.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from perijove.hub.domain.errors import WeakPassword

#: NIST SP 800-63B asks for at least 8; the message of `WeakPassword` says 10
MIN_PASSWORD: Final = 10
#: longer ones only cost time to hash
MAX_PASSWORD: Final = 1024
#: How long the first administrator's link lives.
FIRST_ADMIN_LINK_LIFE: Final = timedelta(hours=1)


class AccountState(Enum):
    """Whether an account may sign in."""

    WAITING = "waiting"  #: signed up; an administrator must approve it
    ACTIVE = "active"
    RETIRED = "retired"  #: its user was deleted or renamed; files of that name may be left on the machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A local name and password. A user row exists once it is ACTIVE."""

    name: str
    #: argon2id, PHC string
    password_hash: str
    state: AccountState
    created: datetime


class InvitationKind(Enum):
    """What accepting a link does."""

    FIRST_ADMIN = "first-admin"  #: makes the first administrator
    USER = "user"  #: makes an ordinary user


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A one-time link; only the hash of its code is kept."""

    id: int
    kind: InvitationKind
    #: SHA-256 of the code, hex
    code_hash: str
    #: name that the account will have; empty: the guest chooses
    name: str
    created: datetime
    expires_at: datetime
    created_by: str = ""


def retired(name: str, *, created: datetime) -> Account:
    """
    What stays of a name whose user is gone: nobody signs in with it, and nobody can ask for it.

    Homes and system users are found by name, so a stranger of the same name would get what was left behind.
    An administrator can give the name to somebody again.
    """
    return Account(name=name, password_hash="", state=AccountState.RETIRED, created=created)


def check_password(password: str) -> str:
    """
    *password*, if it can be one.

    Raises:
        WeakPassword: it is too short, or absurdly long.
    """
    if len(password) < MIN_PASSWORD:
        raise WeakPassword
    if len(password) > MAX_PASSWORD:
        raise WeakPassword(f"A password has at most {MAX_PASSWORD} characters.")
    return password
