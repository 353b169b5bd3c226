"""
The environment of a server, built from nothing: what the hub asks for, and what an account brings.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from perijove.launcher.accounts import Account
from perijove.launcher.plan import MARKER
from perijove.wire import environment as names
from perijove.wire.launcher import LaunchRequest
from perijove.wire.routes import unix_origin


def server_environment(
    request: LaunchRequest,
    account: Account,
    *,
    runtime: Path,
    socket: Path,
    marker: str,
    port: int = 0,
    kernels: Path | None = None,
) -> dict[str, str]:
    """
    Everything the server's process will find in its environment.

    The hub's variables win over our defaults, but not over what says who and where the server is.
    """
    bin_directory = os.path.dirname(sys.executable)  # noqa: PTH120  # a name, not a file to touch
    defaults = {
        "PATH": f"{bin_directory}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
    }
    origin = f"http://127.0.0.1:{port}" if port else unix_origin(str(socket))
    prefix = request.environment.get(names.SERVICE_PREFIX, "/")
    ours = {
        "HOME": account.home,
        "USER": account.login,
        "LOGNAME": account.login,
        "SHELL": account.shell,
        "JUPYTER_RUNTIME_DIR": str(runtime),
        MARKER: marker,
    }
    if kernels is not None:
        ours[names.KERNEL_SOCKET] = str(kernels)
    if request.listens:
        ours[names.SERVICE_URL] = f"{origin}{prefix}"
    return {**defaults, **request.environment, **ours}
