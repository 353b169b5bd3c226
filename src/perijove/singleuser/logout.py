"""
`<base>logout`: forget this server's identity, then let the hub end the session.
"""

from __future__ import annotations

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler

from perijove.singleuser.environment import ServerConfig
from perijove.wire.identity import IDENTITY_COOKIE


class LogoutHandler(JupyterHandler):
    """Where JupyterLab's "Log Out" leads."""

    @allow_unauthenticated
    def get(self) -> None:
        """Clear the cookie and redirect to the hub, which asks and ends the session there."""
        config: ServerConfig = self.settings["perijove"]
        self.clear_cookie(IDENTITY_COOKIE, path=config.base_url)
        self.redirect(f"{config.hub_host}{config.hub_prefix}logout")
