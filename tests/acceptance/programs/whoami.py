"""
A service as its authors write one for JupyterHub: a Tornado application with `HubOAuthenticated`, which tells
visitors who they are. Runs in an environment that has JupyterHub, started with the variables of contract g.
"""

from __future__ import annotations

import json
import os
from urllib.parse import urlsplit

from jupyterhub.services.auth import (  # type: ignore[import-not-found]  # of the other environment
    HubOAuthCallbackHandler,
    HubOAuthenticated,
)
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler, authenticated


class WhoAmI(HubOAuthenticated, RequestHandler):  # type: ignore[misc]  # likewise
    """The visitor, as the hub knows them."""

    @authenticated
    def get(self) -> None:
        """As JSON."""
        self.set_header("content-type", "application/json")
        self.write(json.dumps(self.get_current_user(), indent=1, sort_keys=True))


def main() -> None:
    """Serve until killed."""
    prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
    app = Application(
        [(f"{prefix}oauth_callback", HubOAuthCallbackHandler), (prefix, WhoAmI)], cookie_secret=os.urandom(32)
    )
    url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    HTTPServer(app, xheaders=True).listen(url.port or 80, url.hostname or "")
    IOLoop.current().start()


if __name__ == "__main__":
    main()
