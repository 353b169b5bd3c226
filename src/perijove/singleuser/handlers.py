"""
The two ways from this server to the hub: `<base>login` to be let in, `<base>logout` to leave.
"""

from __future__ import annotations

from urllib.parse import urlencode

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler

from perijove.singleuser.environment import ServerConfig
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
