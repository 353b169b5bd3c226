"""
`perijove launcher`: arguments in, the launcher run. Decides nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from perijove.kit import logs, process
from perijove.launcher.app import KERNEL_APP, SERVER_APP, Settings, run
from perijove.launcher.errors import LauncherError
from perijove.launcher.surroundings import Isolation
from perijove.launcher.templates import RECYCLE_AFTER
from perijove.wire.supervision import EXIT_UNUSABLE, LAUNCHER, LISTEN_FDS_VARIABLE, NOTIFY_FD_VARIABLE


@click.command("launcher", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--socket", "socket_path", type=click.Path(path_type=Path), required=True, help="Where to listen.")
@click.option("--hub-uid", type=int, default=os.getuid, show_default="own", help="The only uid that may ask.")
@click.option("--socket-gid", type=int, default=os.getgid, show_default="own", help="Group of hub and proxy.")
@click.option("--runtime-dir", type=click.Path(path_type=Path), required=True, help="Sockets and records.")
@click.option("--state-dir", type=click.Path(path_type=Path), required=True, help="Logs, and homes without root.")
@click.option("--system-user-prefix", default="", help="Refuse system users that do not begin with this.")
@click.option("--reserve-memory", type=int, help="Bytes that servers leave to hub, proxy and system.")
@click.option("--processes-limit", type=int, help="Most processes and threads of all servers together.")
@click.option("--app", default=SERVER_APP, show_default=True, help="Module to warm up and to run as the server.")
@click.option(
    "--kernel-app", default=KERNEL_APP, show_default=True, help="The same for kernels; empty: they are not forked."
)
@click.option("--preload", multiple=True, help="Module that kernels find imported; again for each.")
@click.option(
    "--recycle-after", type=click.IntRange(min=1), default=RECYCLE_AFTER, show_default=True, help="Forks of a template."
)
@click.option(
    "--isolation",
    type=click.Choice(["auto", "require", "off"]),
    default="auto",
    show_default=True,
    help="Walls around every server: where the kernel lets them be built, or else no start, or none.",
)
@click.option("--shared-path", "shared_paths", multiple=True, help="Directory that all servers see. May be repeated.")
@click.option("--new-privileges", is_flag=True, help="Let sudo and its like work in servers.")
@click.option("--stop-servers", is_flag=True, help="End the servers when the launcher is told to end.")
@click.option("--log-level", default="info", show_default=True, help="debug, info, warning or error.")
@click.option(
    "--log-format",
    type=click.Choice(["console", "json"]),
    default="console",
    show_default=True,
    help="Lines for people or machines.",
)
def launcher(
    *,
    socket_path: Path,
    hub_uid: int,
    socket_gid: int,
    runtime_dir: Path,
    state_dir: Path,
    system_user_prefix: str,
    reserve_memory: int | None,
    processes_limit: int | None,
    app: str,
    kernel_app: str,
    preload: tuple[str, ...],
    recycle_after: int,
    isolation: Isolation,
    shared_paths: tuple[str, ...],
    new_privileges: bool,
    stop_servers: bool,
    log_level: str,
    log_format: str,
) -> None:
    """Fork notebook servers on the hub's request."""
    logs.configure(process="launcher", level=log_level, fmt="json" if log_format == "json" else "console")
    settings = Settings(
        socket=socket_path.absolute(),
        hub_uid=hub_uid,
        socket_gid=socket_gid,
        runtime_dir=runtime_dir.absolute(),
        state_dir=state_dir.absolute(),
        system_user_prefix=system_user_prefix,
        reserve_memory=reserve_memory,
        processes_limit=processes_limit,
        app=app,
        kernel_app=kernel_app,
        preload=preload,
        recycle_after=recycle_after,
        isolation=isolation,
        shared_paths=shared_paths,
        no_new_privs=not new_privileges,
        stop_servers=stop_servers,
        inherited=_inherited(),
    )
    try:
        asyncio.run(run(settings, os.environ, ready=_say_ready))
    except LauncherError as exc:
        click.echo(f"perijove launcher: {exc}", err=True)
        sys.exit(EXIT_UNUSABLE)


def _inherited() -> socket.socket | None:
    try:
        return process.inherited_sockets(os.environ, LISTEN_FDS_VARIABLE).get(LAUNCHER)
    except process.NotInherited as exc:
        raise click.ClickException(str(exc)) from exc


def _say_ready(says: Sequence[str]) -> None:
    process.notify_parent(os.environ, NOTIFY_FD_VARIABLE, json.dumps({"ready": True, "says": list(says)}))
