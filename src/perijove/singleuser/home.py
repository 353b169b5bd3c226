"""
Whose home it is: what modules found out about it when a template imported them is found out again.

A template has no home (`HOME=/nonexistent`) and is not the user; some modules look at both when they are imported
and never again. Without this, JupyterLab could save neither settings nor the layout, and deleting a file would fail.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

from jupyterlab.commands import get_user_settings_dir, get_workspaces_dir
from traitlets.config import Config

#: Modules that hold the path of the trash and the uid; functions that others have imported from them see the new ones.
_LOOK_ONCE: Final = ("send2trash.plat_other",)


def look_again() -> None:
    """Let these modules see who and where this process is now."""
    for name in _LOOK_ONCE:
        if name in sys.modules:
            importlib.reload(sys.modules[name])


def lab_directories() -> Config:
    """Where JupyterLab keeps what a user has set and arranged; its own defaults were computed in the template."""
    c = Config()
    c.LabApp.user_settings_dir = get_user_settings_dir()
    c.LabApp.workspaces_dir = get_workspaces_dir()
    return c
