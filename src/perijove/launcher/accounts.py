"""
Who a server runs as: a system user of its own when the launcher is root, else the launcher itself.

System users are made on demand with `useradd`, and used again only if we made them: a person whom the hub
calls `ada` need not be the `ada` who has an account on this machine, and must not get her files. Members of
the group `PEOPLE` are ours, or were handed over by an administrator (docs/decisions/0004). Never uid 0, never
a system account.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import structlog

from perijove.launcher.errors import LaunchFailed, NoSuchUser
from perijove.launcher.layout import Layout
from perijove.launcher.names import system_name
from perijove.launcher.reaper import Reaper
from perijove.wire.launcher import LaunchRequest

log = structlog.get_logger(__name__)

#: Lowest uid that is a person's (login.defs(5), UID_MIN).
FIRST_PERSON_UID: Final = 1000
#: Highest uid that is a person's: `nobody` is above (login.defs(5), UID_MAX).
LAST_PERSON_UID: Final = 60000
#: Group of the system users that servers may run as. Servers themselves are not given it.
PEOPLE: Final = "perijove-people"
#: Seconds `useradd` may take: it waits for a lock on /etc/passwd.
USERADD_TIMEOUT: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A uid and what goes with it."""

    #: names the runtime directory: one per account
    name: str
    #: what USER and LOGNAME say
    login: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str


class Accounts(Protocol):
    """Finds the account of a launch."""

    #: whether each person has a uid of their own
    as_root: bool

    async def account(self, request: LaunchRequest) -> Account:
        """The account to run *request* as."""
        ...


class SystemAccounts:
    """
    As root: one system user per person.

    Args:
        reaper: runs `useradd`.
        prefix: names that do not begin with it are refused: a hub may be held to its own accounts.
    """

    as_root = True

    def __init__(self, *, reaper: Reaper, prefix: str = "") -> None:
        self._reaper = reaper
        self._prefix = prefix
        self._making = asyncio.Lock()

    async def account(self, request: LaunchRequest) -> Account:
        """
        Look the system user up, or make it.

        Raises:
            NoSuchUser: there is none and none may be made, or it is not a person's.
        """
        if not request.system_user:
            raise NoSuchUser("the launcher is root and runs no server as root: name a system user")
        name = system_name(request.system_user)
        if not name.startswith(self._prefix):
            raise NoSuchUser(f"this launcher only runs servers as system users that begin with {self._prefix!r}")
        entry = _look_up(name)
        if entry is None:
            if not request.create_user:
                raise NoSuchUser(f"there is no system user {name}")
            async with self._making:
                entry = _look_up(name) or await self._make(name)
        people = _group(PEOPLE)
        _refuse_unless_ours(entry, people)
        return Account(
            name=name,
            login=name,
            uid=entry.pw_uid,
            gid=entry.pw_gid,
            groups=tuple(gid for gid in os.getgrouplist(name, entry.pw_gid) if gid != people),
            home=request.home or entry.pw_dir,
            shell=entry.pw_shell or "/bin/sh",
        )

    async def _make(self, name: str) -> pwd.struct_passwd:
        if _group(PEOPLE) is None:
            await self._run("groupadd", "--system", PEOPLE)
        # Debian's homes are open to everybody unless told otherwise.
        private = ("--key", "HOME_MODE=0700", "--key", "UMASK=077")
        said = await self._run(
            "useradd", "--create-home", *private, "--groups", PEOPLE, "--shell", _login_shell(), "--", name
        )
        entry = _look_up(name)
        if entry is None:
            raise NoSuchUser(f"useradd could not make {name}: {said}")
        log.info("account.made", account=name, uid=entry.pw_uid)
        return entry

    async def _run(self, program: str, *words: str) -> str:
        """What *program* said, or else its exit code."""
        path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if path is None:
            raise NoSuchUser(f"there is no {program} to make system users with")
        try:
            code, said = await self._reaper.run([path, *words], timeout=USERADD_TIMEOUT)
        except TimeoutError as exc:
            raise LaunchFailed(f"{program} {words[-1]} took longer than {USERADD_TIMEOUT:.0f} s") from exc
        return said.strip() or str(code)


class OwnAccount:
    """
    Without root: everybody is the launcher's own uid, with a directory each.
    """

    as_root = False

    def __init__(self, *, layout: Layout) -> None:
        self._layout = layout

    async def account(self, request: LaunchRequest) -> Account:
        """The launcher's own uid, at home in the user's directory; a `system_user` is for root only."""
        entry = pwd.getpwuid(os.getuid())
        home = request.home or str(self._layout.make_private_home(request.user))
        return Account(
            name=system_name(request.user),
            login=request.user,
            uid=entry.pw_uid,
            gid=entry.pw_gid,
            groups=(),
            home=home,
            # A service account has a shell that refuses; terminals of people who share it must work.
            shell=_login_shell() if Path(entry.pw_shell).name in {"", "nologin", "false"} else entry.pw_shell,
        )


def _look_up(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _group(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _refuse_unless_ours(entry: pwd.struct_passwd, people: int | None) -> None:
    name = entry.pw_name
    if not FIRST_PERSON_UID <= entry.pw_uid <= LAST_PERSON_UID:
        raise NoSuchUser(f"{name} is a system account (uid {entry.pw_uid}); servers run as people only")
    if people is None or people not in os.getgrouplist(name, entry.pw_gid):
        raise NoSuchUser(
            f"this machine has an account {name} that perijove did not make, so its files may be somebody else's. "
            f"An administrator can hand it over with: usermod --append --groups {PEOPLE} {name}"
        )


def _login_shell() -> str:
    return "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
