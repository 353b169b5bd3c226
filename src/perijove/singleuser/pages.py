"""
How JupyterLab's and Notebook's pages know the hub: their page configuration, set in one hook.

What JupyterLab reads: hubUser, hubServerUser, hubPrefix, hubHost, hubServerName, shareUrl (contract a).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from perijove.singleuser.environment import ServerConfig
from perijove.singleuser.visitor import Visitor

#: The pop-up that asks about news, and its requests to the outside.
ANNOUNCEMENTS: Final = "@jupyterlab/apputils-extension:announcements"

#: What the extension `@perijove/visiting` reads: the visitor's rights, with spaces between them, weakest first.
RIGHTS_OPTION: Final = "perijoveRights"

PageConfig = dict[str, Any]


def page_config(config: ServerConfig, *, app: str, given: PageConfig, visitor: Visitor | None = None) -> PageConfig:
    """
    *given* with what perijove knows better.

    Args:
        config: this server's.
        app: `lab` or `notebook`: whose page it is.
        given: what the page's own handler put together.
        visitor: who asks for it; None: not known, so its owner.
    """
    ours: PageConfig = {
        "hubUser": visitor.username if visitor is not None else config.user,
        "hubServerUser": config.user,
        "hubPrefix": config.hub_prefix,
        "hubHost": config.hub_host,
        "hubServerName": config.server_name,
        "shareUrl": f"{config.hub_host}{config.hub_prefix}user-redirect",
        "token": "",
        # Whether extensions from source should be built in: what everybody shares is not a user's to build, and
        # asking starts Node.js (if there is one) while the user waits for JupyterLab.
        "buildCheck": False,
        "disabledExtensions": _with(given.get("disabledExtensions", []), ANNOUNCEMENTS),
    }
    if visitor is not None:
        ours |= _for_visitor(visitor)
    assets = {"lab": config.lab_assets_url, "notebook": config.notebook_assets_url}.get(app, "")
    if assets:
        ours["fullStaticUrl"] = assets.rstrip("/")
    return {**given, **ours}


def page_config_hook(config: ServerConfig) -> Callable[[Any, PageConfig], PageConfig]:
    """The hook that JupyterLab and Notebook call with a handler and its page configuration."""

    def hook(handler: Any, given: PageConfig) -> PageConfig:
        user = handler.current_user
        visitor = user if isinstance(user, Visitor) else None
        return page_config(config, app=str(getattr(handler, "name", "")), given=given, visitor=visitor)

    return hook


def _for_visitor(visitor: Visitor) -> PageConfig:
    found: PageConfig = {RIGHTS_OPTION: " ".join(visitor.scopes)}
    if not visitor.may_run:
        found["terminalsAvailable"] = False
    return found


def _with(disabled: object, name: str) -> list[str]:
    names = [str(entry) for entry in disabled] if isinstance(disabled, list | tuple | dict) else []
    return names if name in names else [*names, name]
