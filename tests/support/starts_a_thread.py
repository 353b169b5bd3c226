"""
A module that must not be preloaded: it starts a thread when it is imported.
"""

from __future__ import annotations

import threading

_NEVER = threading.Event()
threading.Thread(target=_NEVER.wait, daemon=True).start()
