"""
What a notebook can be exported to, found once: JupyterLab asks when the first notebook opens.

Jupyter Server's own handler reads the metadata of every installed package for every format, which takes a third
of a second of processor time just when the user's kernel starts. A template asks once for all its servers.
"""

from __future__ import annotations

from functools import cache

from anyio.to_thread import run_sync
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from nbconvert.exporters import ExporterDisabledError, ExporterNameError, get_export_names, get_exporter
from tornado.web import authenticated

#: Below the server's base URL.
PATH = "api/nbconvert"


@cache
def exporters() -> dict[str, dict[str, str]]:
    """Name of each format → what the browser may know of it."""
    found = {}
    for name in get_export_names():  # type: ignore[no-untyped-call]
        try:
            found[name] = {"output_mimetype": get_exporter(name).output_mimetype}  # type: ignore[no-untyped-call]
        except (ExporterDisabledError, ExporterNameError, ImportError):
            # Switched off, being removed just now, or in need of a package that is not installed.
            continue
    return found


class ExportersHandler(APIHandler):
    """In the place of Jupyter Server's own handler; the same answer."""

    auth_resource = "nbconvert"

    @authenticated
    @authorized
    async def get(self) -> None:
        """The formats, as JSON."""
        self.finish(await run_sync(exporters))
