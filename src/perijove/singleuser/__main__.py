"""
`python -m perijove.singleuser`: the server by exec, on the socket it inherits (sd_listen_fds(3)).
"""

from __future__ import annotations

import sys

from perijove.singleuser.app import run

#: SD_LISTEN_FDS_START
LISTEN_FD = 3

if __name__ == "__main__":
    sys.exit(run(listen_fd=LISTEN_FD, args=sys.argv[1:]))
