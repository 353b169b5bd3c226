"""
How JupyterLab's and Notebook's pages know the hub: their page configuration, set in one hook.

What JupyterLab reads: hubUser, hubServerUser, hubPrefix, hubHost, hubServerName, shareUrl (contract a).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from perijove.singleuser.environment import ServerConfig

#: The pop-up that asks about news, and its requests to the outside.
ANNOUNCEMENTS: Final = "@jupyterlab/apputils-extension:announcements"

PageConfig = dict[str, Any]


def page_config(config: ServerConfig, *, app: str, given: PageConfig) -> PageConfig:
    """
    *given* with what perijove knows better.

    Args:
        config: this server's.
        app: `lab` or `notebook`: whose page it is.
        given: what the page's own handler put together.
    """
    ours: PageConfig = {
        "hubUser": config.user,
        "hubServerUser": config.user,
        "hubPrefix": config.hub_prefix,
        "hubHost": config.hub_host,
        "hubServerName": config.server_name,
        "shareUrl": f"{config.hub_prefix}user-redirect",
        "token": "",
        # Whether extensions from source should be built in: what everybody shares is not a user's to build, and
        # asking starts Node.js (if there is one) while the user waits for JupyterLab.
        "buildCheck": False,
        "disabledExtensions": _with(given.get("disabledExtensions", []), ANNOUNCEMENTS),
    }
    assets = {"lab": config.lab_assets_url, "notebook": config.notebook_assets_url}.get(app, "")
    if assets:
        ours["fullStaticUrl"] = assets.rstrip("/")
    return {**given, **ours}


def page_config_hook(config: ServerConfig) -> Callable[[Any, PageConfig], PageConfig]:
    """The hook that JupyterLab and Notebook call with a handler and its page configuration."""

    def hook(handler: Any, given: PageConfig) -> PageConfig:
        return page_config(config, app=str(getattr(handler, "name", "")), given=given)

    return hook


def _with(disabled: object, name: str) -> list[str]:
    names = [str(entry) for entry in disabled] if isinstance(disabled, list | tuple | dict) else []
    return names if name in names else [*names, name]
