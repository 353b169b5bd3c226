"""
What a warm template imports: all that a server would otherwise import after the fork.

Found by comparing `sys.modules` before the fork with those of a server in which somebody has run a notebook in
a browser. None of these may start a thread.
"""

from __future__ import annotations

import importlib
from typing import Final

import nbformat
import structlog
from jupyter_core.paths import ENV_CONFIG_PATH, SYSTEM_CONFIG_PATH
from jupyter_server.extension.config import ExtensionConfigManager
from nbformat.v4 import new_notebook

from perijove.singleuser.exporters import exporters

log = structlog.get_logger(__name__)

#: Imported lazily by Jupyter Server, JupyterLab or a library of theirs.
LAZILY_IMPORTED: Final = (
    "IPython.core.getipython",
    "IPython.core.interactiveshell",
    "IPython.display",
    "anyio._backends._asyncio",
    "anyio.streams.memory",
    "asyncio.selector_events",
    "asyncio.unix_events",
    "babel.dates",
    "babel.numbers",
    "codeop",
    "cryptography.hazmat.backends.openssl.backend",
    "defusedxml.ElementTree",
    "encodings.unicode_escape",
    "encodings.utf_16_be",
    "encodings.utf_16_le",
    "getopt",
    "h11",
    "ipykernel.kernelspec",
    "jinja2.ext",
    "jupyter_client.asynchronous",
    "jupyter_client.ioloop",
    "jupyter_client.provisioning.local_provisioner",
    "jupyter_server.kernelspecs.handlers",
    "jupyter_server.nbconvert.handlers",
    "jupyter_server.services.api.handlers",
    "jupyter_server.services.config.handlers",
    "jupyter_server.services.contents.handlers",
    "jupyter_server.services.contents.largefilemanager",
    "jupyter_server.services.events.handlers",
    "jupyter_server.services.kernels.connection.channels",
    "jupyter_server.services.kernels.handlers",
    "jupyter_server.services.kernelspecs.handlers",
    "jupyter_server.services.nbconvert.handlers",
    "jupyter_server.services.security.handlers",
    "jupyter_server.services.sessions.handlers",
    "jupyter_server.services.shutdown",
    "jupyter_server.auth.logout",
    "jupyter_server.files.handlers",
    "jupyter_server.view.handlers",
    "jupyter_lsp.virtual_documents_shadow",
    "jupyterlab.labapp",
    "jupyterlab_pygments.style",
    "nbconvert.exporters",
    "nbconvert.writers",
    "notebook.app",
    "notebook_shim.nbserver",
    "pygments.formatters.html",
    "sqlite3",
    "terminado.management",
    "tornado.platform.asyncio",
    "zmq.eventloop.zmqstream",
)


def preload() -> None:
    """Import it all, and the server extensions that the administrator has enabled, and compute what is the same."""
    for name in (*LAZILY_IMPORTED, *enabled_extensions()):
        try:
            importlib.import_module(name)
        except ImportError as exc:
            # A server without it starts all the same, and says so in its own log.
            log.info("preload.skipped", module=name, error=str(exc))
    compute_once()


def compute_once() -> None:
    """What is the same for everybody and takes a while: the export formats, the validator of notebooks."""
    exporters()
    nbformat.validate(new_notebook())  # type: ignore[no-untyped-call]


def enabled_extensions() -> list[str]:
    """Server extensions enabled for everybody: a user's own are imported in the user's server."""
    manager = ExtensionConfigManager(read_config_path=[*ENV_CONFIG_PATH, *SYSTEM_CONFIG_PATH])
    enabled: dict[str, bool] = manager.get_jpserver_extensions()  # type: ignore[no-untyped-call]
    return sorted(name for name, is_on in enabled.items() if is_on)
