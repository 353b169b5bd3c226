"""
What the supervisor and its parts tell each other: inherited sockets down, one line of JSON up.

The supervisor binds every listening socket once and hands it down, so that a part that dies and comes back
finds its connections waiting in the backlog. `PERIJOVE_LISTEN_FDS` is `name=fd,name=fd`.
A part that serves writes one line to `PERIJOVE_NOTIFY_FD`: `{"ready": true, …}`, with `warnings`, sentences for
the operator, if there are any, and from the hub `first_admin`, the path of the one-time link.
"""

from __future__ import annotations

import signal
from typing import Final

LISTEN_FDS_VARIABLE: Final = "PERIJOVE_LISTEN_FDS"
NOTIFY_FD_VARIABLE: Final = "PERIJOVE_NOTIFY_FD"
#: Which of the deployment's hubs this is, from 1. The first is the one who speaks for all to the operator.
HUB_NUMBER_VARIABLE: Final = "PERIJOVE_HUB_NUMBER"

#: names of inherited sockets
PUBLIC: Final = "public"
CONTROL: Final = "control"
REDIRECT: Final = "redirect"
HUB: Final = "hub"
API: Final = "api"
LAUNCHER: Final = "launcher"

#: What the hub gets when the supervisor is gone: end, but leave the users' servers running. SIGINT and SIGTERM
#: are an administrator's, who may want the servers to end as well.
ORPHANED_SIGNAL: Final = signal.SIGUSR2

#: exit status of a part whose configuration or database must be mended first: restarting it is no use
EXIT_UNUSABLE: Final = 78  # EX_CONFIG of sysexits.h
