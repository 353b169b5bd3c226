"""
Becoming the system user whom the hub runs as, which root has to be for a while to read what is root's alone.
"""

from __future__ import annotations

import grp
import os
import pwd
import sys

import click

from perijove.kit.process import become_user
from perijove.supervisor.accounts import SOCKET_GROUP
from perijove.wire.supervision import EXIT_UNUSABLE


def become_hub(name: str, *, command: str) -> None:
    """Give up root, if this is root; ends the process if there is no such user."""
    if os.geteuid() != 0:
        return
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        click.echo(f"{command}: there is no system user {name!r}; `perijove` makes it.", err=True)
        sys.exit(EXIT_UNUSABLE)
    try:
        groups = [grp.getgrnam(SOCKET_GROUP).gr_gid]
    except KeyError:
        groups = []
    become_user(uid=entry.pw_uid, gid=entry.pw_gid, groups=groups)
