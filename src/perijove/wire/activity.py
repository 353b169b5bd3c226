"""
What a server tells the hub about itself, and what the hub answers: contract d10, and perijove's own members.

    POST <JUPYTERHUB_ACTIVITY_URL>
    {"last_activity": "…", "servers": {"<name>": {"last_activity": "…", "busy": true, "since": "…", "with": "kernel"}}}

A hub of JupyterHub reads past the members that it does not know, and answers nothing. Ours answers a server that
says whether it is busy

    {"servers": {"<name>": {"stop_at": "…", "because": "…", "warn_seconds": 300, "may_be_put_off": true}}}

where the inner object is empty if it is not to be stopped. `POST /users/<user>/server/keep` (`…/servers/<name>/keep`)
answers the inner object as it is then.
"""

from __future__ import annotations

from typing import Final

SERVERS: Final = "servers"
LAST_ACTIVITY: Final = "last_activity"
#: whether something runs in it
BUSY: Final = "busy"
#: since when that is so
SINCE: Final = "since"
#: what runs: `kernel` or `terminal`
WITH: Final = "with"

#: when it is to be stopped unless something changes
STOP_AT: Final = "stop_at"
#: the end of a sentence: “This server will be stopped at 14:05 because …”
BECAUSE: Final = "because"
#: how long before that its user is to be told
WARN_SECONDS: Final = "warn_seconds"
#: whether asking gives it more time
MAY_BE_PUT_OFF: Final = "may_be_put_off"

#: the last segment of the address with which a server is kept
KEEP: Final = "keep"
