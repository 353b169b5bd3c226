"""
A module that must not be preloaded: it leaves a file open when it is imported.
"""

from __future__ import annotations

from pathlib import Path

FILE = Path("/etc/hostname").open(encoding="utf-8")  # noqa: SIM115  # what it is for
