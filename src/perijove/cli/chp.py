"""
The other name: a link called configurable-http-proxy that leads to `perijove` is `perijove proxy`.

No such command is installed: it would hide the real one where both are.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

CHP: Final = "configurable-http-proxy"


def is_chp() -> bool:
    """Whether this was started by a link called configurable-http-proxy."""
    return Path(sys.argv[0]).name == CHP
