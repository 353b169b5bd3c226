"""
The two ways from this server to the hub, `<base>login` to be let in and `<base>logout` to leave; and files as those see
them who may not change them.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.contents.handlers import ContentsHandler
from jupyter_server.services.contents.handlers import default_handlers as contents_handlers

from perijove.singleuser.environment import ServerConfig
from perijove.singleuser.visitor import Visitor
from perijove.wire.door import ENTER_PATH
from perijove.wire.identity import IDENTITY_COOKIE


class LoginHandler(JupyterHandler):
    """Where a page sends strangers: reached around the proxy, or when an identity has just expired."""

    @allow_unauthenticated
    def get(self) -> None:
        """Redirect to the hub, which signs the visitor in, or refuses, and knows which `next` is safe."""
        config: ServerConfig = self.settings["perijove"]
        query = urlencode({"server": config.audience, "next": self.get_argument("next", config.base_url)})
        self.redirect(f"{config.hub_host}{config.hub_prefix}{ENTER_PATH}?{query}")


class LogoutHandler(JupyterHandler):
    """Where JupyterLab's "Log Out" leads."""

    @allow_unauthenticated
    def get(self) -> None:
        """Forget this server's identity and redirect to the hub, which ends the session."""
        config: ServerConfig = self.settings["perijove"]
        self.clear_cookie(IDENTITY_COOKIE, path=config.base_url)
        self.redirect(f"{config.hub_host}{config.hub_prefix}logout")


class VisitedContentsHandler(ContentsHandler):
    """
    Jupyter Server's, but that nothing is writable for a visitor who may not save.

    JupyterLab then says that a document is read-only, and does not try to save it every two minutes.
    """

    def _finish_model(self, model: dict[str, Any], location: bool = True) -> None:  # noqa: FBT001, FBT002  # the base's
        visitor = self.current_user
        if isinstance(visitor, Visitor) and not visitor.may_save:
            model = _read_only(model)
        super()._finish_model(model, location)  # type: ignore[no-untyped-call]


def _read_only(model: dict[str, Any]) -> dict[str, Any]:
    content = model.get("content")
    if model.get("type") == "directory" and isinstance(content, list):
        content = [_read_only(entry) for entry in content]
    return {**model, "content": content, "writable": False}


#: Jupyter Server's handlers of files, ours in its place among them: paths below the base URL, as patterns.
CONTENTS: Final = tuple(
    (str(pattern).removeprefix("/"), VisitedContentsHandler if handler is ContentsHandler else handler)
    for pattern, handler in contents_handlers
)
