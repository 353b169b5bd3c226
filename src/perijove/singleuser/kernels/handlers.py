"""
What a page asks when one of its kernels has died: why.
"""

from __future__ import annotations

from typing import Final

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError, authenticated

from perijove.singleuser.kernels.provisioner import ENDS
from perijove.wire.notebook import OWN

#: below the server's base URL
END_PATH: Final = rf"{OWN}kernels/([\w-]{{1,64}})/end"


class EndHandler(APIHandler):
    """GET: how a kernel ended, if it ended by itself."""

    auth_resource = "kernels"
    _track_activity = False

    @authenticated
    @authorized
    async def get(self, kernel_id: str) -> None:
        """As JSON."""
        model = ENDS.model(kernel_id)
        if model is None:
            raise HTTPError(404, "This kernel has not ended by itself.")
        self.finish(model)


HANDLERS: Final = ((END_PATH, EndHandler),)
