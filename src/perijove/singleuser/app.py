"""
The server itself: Jupyter Server, set up for its place behind the door.

`run` is what a forked child or `python -m perijove.singleuser` calls; `preload` is what a warm template
calls first. What the settings mean is written next to each in `settings`.
"""

from __future__ import annotations

import logging
import os
import re
import site
import sys
import tempfile
import warnings
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from secrets import token_bytes
from socket import socket
from typing import Any, Final

import structlog
from jupyter_core.paths import jupyter_config_dir
from jupyter_events import EventLogger
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import JupyterServerAuthWarning
from tornado.httpserver import HTTPServer
from traitlets import Instance, default
from traitlets.config import Config

from perijove.kit.cgroups import own_memory_group
from perijove.kit.clock import SystemClock
from perijove.kit.tasks import TaskGroup
from perijove.singleuser import environment, exporters, home, memory, room, stopping
from perijove.singleuser import preload as preloading
from perijove.singleuser.activity import ActivityReporter, Standing
from perijove.singleuser.authorizer import ScopeAuthorizer
from perijove.singleuser.busy import busy_with
from perijove.singleuser.environment import ServerConfig
from perijove.singleuser.exporters import ExportersHandler
from perijove.singleuser.files import Files, Kernels
from perijove.singleuser.handlers import CONTENTS
from perijove.singleuser.hubclient import poster
from perijove.singleuser.identity import DoorIdentityProvider
from perijove.singleuser.kernels import handlers as kernel_handlers
from perijove.singleuser.kernels import provisioner
from perijove.singleuser.memory import MemoryWatch
from perijove.singleuser.pages import page_config_hook
from perijove.singleuser.stopping import Stopping
from perijove.singleuser.watching import CHANNELS_PATH, ChannelsHandler
from perijove.wire.environment import JUPYTERHUB_VERSION, JUPYTERHUB_VERSION_HEADER

log = structlog.get_logger(__name__)

#: Bytes that `kernel-<uuid>-ipc-<n>` and a slash add to the runtime directory's path.
IPC_NAME_BYTES: Final = 58
#: Longest path of a unix socket (unix(7)), less its closing zero.
MAX_SOCKET_PATH: Final = 107
#: What we add to JupyterLab and Notebook.
LAB_EXTENSIONS: Final = Path(__file__).parent / "labextensions"
#: How the names of Jupyter Server's settings end in which extensions keep when they were last used,
LAST_ACTIVITY: Final = "_last_activity"
#: and those that a tab which was left open keeps fresh; `interaction.py` judges these requests better.
POLLED: Final = frozenset({"api_last_activity", "terminal_last_activity"})


class SingleUserServer(ServerApp):
    """Jupyter Server on a socket that exists already, in a place that the hub chose."""

    server_config = Instance(ServerConfig)
    listening = Instance(socket)
    _tasks: TaskGroup
    _own_end: Stopping
    _memory: MemoryWatch

    @property
    def server_name(self) -> str:
        """JupyterLab looks for this to know that the hub has named servers."""
        return self.server_config.server_name

    @default("log_level")
    def _log_level_default(self) -> int:
        return logging.DEBUG if self.server_config.debug else logging.INFO

    def load_config_file(  # type: ignore[override]  # as JupyterApp's
        self,
        suppress_errors: bool = True,  # noqa: FBT001, FBT002  # the base's
    ) -> None:
        """Our preferences, the administrator's and the user's files over them, what the hub decided over all."""
        self.update_config(preferences(self.server_config))
        super().load_config_file(suppress_errors=suppress_errors)
        self.update_config(settings(self.server_config))

    def migrate_config(self) -> None:
        """Do not move settings of Jupyter before 2015: it would write into a home that may be full or read-only."""

    def init_webapp(self) -> None:
        """Add what only a live server knows, and our handlers, which win over those that are there."""
        config, now = self.server_config, SystemClock().now
        reporter = ActivityReporter(
            config=config,
            standing=self.standing,
            post=poster(config.activity_url, config.api_token),
            now=now,
        )
        self._own_end = Stopping(reporter=reporter, ask=poster(config.keep_url, config.api_token), now=now)
        self.events.register_event_schema(memory.SCHEMA)
        self._memory = MemoryWatch(group=own_memory_group(), tell=self._tell_of_memory)
        ours_too = {stopping.SETTING: self._own_end, memory.SETTING: self._memory}
        self.tornado_settings.update(tornado_settings(config), **ours_too)
        super().init_webapp()
        ours = (
            (exporters.PATH, ExportersHandler),
            (CHANNELS_PATH, ChannelsHandler),
            *CONTENTS,
            *stopping.HANDLERS,
            *kernel_handlers.HANDLERS,
            *memory.HANDLERS,
        )
        base = re.escape(self.server_config.base_url)
        self.web_app.add_handlers(".*", [(base + path, handler) for path, handler in ours])  # type: ignore[no-untyped-call]

    def init_httpserver(self) -> None:
        """Serve the inherited socket: the launcher bound it before this process existed."""
        self._http_server = HTTPServer(
            self.web_app,
            xheaders=True,
            max_body_size=self.max_body_size,
            max_buffer_size=self.max_buffer_size,
        )
        self.listening.setblocking(False)
        self.io_loop.add_callback(self._http_server.add_socket, self.listening)

    def running_server_info(self, kernel_count: bool = True) -> str:  # noqa: FBT001, FBT002  # the base's
        """One line for the log: there is no address to open but the hub's."""
        kernels = f", {len(self.kernel_manager.list_kernel_ids())} kernels" if kernel_count else ""
        return f"Serving {self.server_config.base_url} from {self.root_dir}{kernels}"

    def write_browser_open_files(self) -> None:
        """None: there is no browser on this side."""

    def write_server_info_file(self) -> None:
        """None: nobody may find this server but through the proxy."""

    def remove_server_info_file(self) -> None:
        """There is none."""

    async def _post_start(self) -> None:
        await super()._post_start()  # type: ignore[no-untyped-call]
        self._tasks = TaskGroup("singleuser")
        config = self.server_config
        if config.activity_url:
            self._tasks.start("activity", self._own_end.reporter.keep_reporting())
        if self._memory.is_limited:
            self._tasks.start("memory", self._memory.keep_watching())

    @property
    def events(self) -> EventLogger:
        """What tells extensions and pages of events."""
        if self.event_logger is None:
            raise RuntimeError("asked for before it was made")
        return self.event_logger

    def _tell_of_memory(self, model: Mapping[str, Any]) -> None:
        """Every page that is open hears of it at once."""
        self.events.emit(schema_id=memory.SCHEMA_ID, data=dict(model))

    async def _cleanup(self) -> None:
        if hasattr(self, "_tasks"):
            await self._tasks.close()
        await super()._cleanup()

    def standing(self) -> Standing:
        """What goes on here: what runs, and when this server was last used, which is now while something runs."""
        manager = self.web_app.settings.get("terminal_manager")
        terminals = [terminal.ptyproc for terminal in manager.terminals.values()] if manager is not None else []
        kernels = self.kernel_manager.list_kernels()  # type: ignore[no-untyped-call]
        busy = busy_with(kernels=kernels, terminals=terminals)
        return Standing(last_activity=SystemClock().now() if busy else self._last_used(), busy=busy)

    def _last_used(self) -> datetime:
        """When somebody last did something, or a kernel, or what an extension counts."""
        found = self.web_app.settings
        counted = [at for name, at in found.items() if name.endswith(LAST_ACTIVITY) and name not in POLLED]
        kernels = self.kernel_manager.last_kernel_activity
        provider = self.identity_provider
        by_hand = provider.interactions.latest if isinstance(provider, DoorIdentityProvider) else None
        times = [found["started"], kernels, by_hand, *counted, *found["last_activity_times"].values()]
        latest: datetime = max(at for at in times if at is not None)
        return latest


def settings(config: ServerConfig) -> Config:
    """The settings that make Jupyter Server a part of perijove."""
    c = Config()
    server = c.ServerApp
    server.base_url = config.base_url
    server.default_url = config.default_url
    server.root_dir = str(_usable_root(config))
    # The proxy is the only one who can reach the socket; it passes on who asks and for which host.
    server.allow_remote_access = True
    server.trust_xheaders = True
    server.identity_provider_class = DoorIdentityProvider
    server.authorizer_class = ScopeAuthorizer
    # Deny by default: an extension's handler without a decorator needs a visitor too.
    server.allow_unauthenticated_access = False
    server.open_browser = False
    server.quit_button = False
    # Cookies of Jupyter Server only hold its XSRF token; a fresh secret leaves nothing on disk.
    server.cookie_secret = token_bytes(32)
    # The hub decides when a server is idle; kernels outlive the browser.
    server.shutdown_no_activity_timeout = 0
    c.MappingKernelManager.cull_idle_timeout = 0
    for page in ("LabApp", "JupyterNotebookApp"):
        # Appended: the administrator may have extensions in folders of their own.
        c[page].extra_labextensions_path.append(str(LAB_EXTENSIONS))
    c.LabApp.news_url = None
    c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
    if len(os.fsencode(config.runtime_dir)) + IPC_NAME_BYTES <= MAX_SOCKET_PATH:
        # Kernels on TCP can be reached by every user of the machine; a private directory keeps them apart.
        c.KernelManager.transport = "ipc"
    else:
        log.warning("kernels.on_tcp", reason="the runtime directory's path is too long for unix sockets")
    return c


def preferences(config: ServerConfig) -> Config:
    """What we would choose; files of the administrator and the user may choose otherwise."""
    c = Config()
    c.merge(home.lab_directories())
    # Kernels are forked where that comes to the same.
    c.KernelProvisionerFactory.default_provisioner_name = provisioner.NAME
    # A user cannot install into an environment that everybody shares, and the manager that offers it
    # costs a third of the start and 10 MB.
    c.LabApp.extension_manager = "readonly"
    # Extensions and people bring their own; these are for who does not.
    c.ServerApp.contents_manager_class = Files
    c.ServerApp.kernel_manager_class = Kernels
    # JupyterLab asks for these when it is imported, which happened in the template, where nobody is at home.
    lab = Path(jupyter_config_dir(), "lab")
    c.LabApp.user_settings_dir = os.environ.get("JUPYTERLAB_SETTINGS_DIR") or str(lab / "user-settings")
    c.LabApp.workspaces_dir = os.environ.get("JUPYTERLAB_WORKSPACES_DIR") or str(lab / "workspaces")
    # Where npm puts language servers unless told otherwise. Asking npm itself, as jupyter_lsp would, takes
    # more processor time than all the rest of the start.
    c.LanguageServerManager.node_roots = [
        str(config.root_dir),
        *(f"{prefix}{lib}" for prefix in (sys.prefix, "/usr/local", "/usr") for lib in ("/lib", "")),
    ]
    return c


def tornado_settings(config: ServerConfig) -> dict[str, Any]:
    """What handlers and pages look up."""
    return {
        "perijove": config,
        "hub_prefix": config.hub_prefix,
        "hub_host": config.hub_host,
        "user": config.user,
        "page_config_hook": page_config_hook(config),
        "headers": {
            JUPYTERHUB_VERSION_HEADER: JUPYTERHUB_VERSION,
            "Content-Security-Policy": "frame-ancestors 'none'",
        },
    }


def preload() -> None:
    """Import what a server needs, in the template."""
    preloading.preload()


def run(*, listen_fd: int, args: list[str]) -> int:
    """Be the server on the listening socket *listen_fd*, until told to end; answer the exit code."""
    try:
        config = environment.read(os.environ)
    except environment.BadEnvironment as exc:
        sys.stderr.write(f"{exc}\n")
        return 78
    if config.disable_user_config:
        _forget_user_config(config)
    os.environ.update(room.for_server(os.environ, runtime=Path(config.runtime_dir)))
    home.look_again()
    provisioner.register()
    # Handlers of extensions that do not say who may call them are refused to strangers anyway
    # (`allow_unauthenticated_access`); their authors' names are no news for a user's log.
    warnings.filterwarnings("ignore", category=JupyterServerAuthWarning)
    listening = socket(fileno=listen_fd)
    server = SingleUserServer.instance(server_config=config, listening=listening)
    server.initialize(argv=args)
    server.start()
    return 0


def _usable_root(config: ServerConfig) -> Path:
    """The root directory, or the runtime directory when it cannot be used: the server starts all the same."""
    if os.access(config.root_dir, os.R_OK | os.X_OK):
        return config.root_dir
    substitute = config.runtime_dir / "no-home"
    substitute.mkdir(mode=0o700, exist_ok=True)
    (substitute / "HOME IS MISSING.txt").write_text(
        f"The directory {config.root_dir} is missing or cannot be read.\n"
        "Nothing saved here is kept. Please tell the administrator of this server.\n"
    )
    log.error("home.missing", directory=str(config.root_dir))
    return substitute


def _forget_user_config(config: ServerConfig) -> None:
    """Read no configuration and no package below the user's home."""
    empty = tempfile.mkdtemp(prefix="no-config-", dir=config.runtime_dir)
    os.environ["JUPYTER_CONFIG_DIR"] = empty
    os.environ["JUPYTER_DATA_DIR"] = empty
    if site.USER_SITE in sys.path:
        sys.path.remove(site.USER_SITE)
    site.ENABLE_USER_SITE = False
