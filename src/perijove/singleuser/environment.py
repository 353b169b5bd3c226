"""
What the hub said to this server, read from the environment once. The only place that reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from perijove.wire import environment as names
from perijove.wire.activity import KEEP

#: Seconds between two activity reports (contract section a).
DEFAULT_ACTIVITY_INTERVAL: Final = 300.0


class BadEnvironment(Exception):
    """This program is started by perijove: a variable that the hub sets is missing or damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """One server's place in the world."""

    user: str
    server_name: str
    #: path below the host, with slashes at both ends
    base_url: str
    #: path of the hub, with slashes at both ends
    hub_prefix: str
    #: origin of the hub as browsers know it; empty: the same host
    hub_host: str
    #: what an identity token must be for
    audience: str
    #: public keys of the door
    identity_keys: tuple[Mapping[str, Any], ...]
    api_token: str
    #: empty: activity is not reported
    activity_url: str
    activity_interval: float
    #: where more time is asked for before the server is stopped; empty: nowhere
    keep_url: str
    #: path where everybody's JupyterLab files are; empty: from here
    lab_assets_url: str
    notebook_assets_url: str
    default_url: str
    #: directory that the file browser begins at
    root_dir: Path
    #: private, always writable
    runtime_dir: Path
    debug: bool
    disable_user_config: bool


def read(environment: Mapping[str, str]) -> ServerConfig:
    """
    The configuration in *environment*.

    Raises:
        BadEnvironment: something is missing.
    """
    try:
        keys = json.loads(environment.get(names.IDENTITY_KEYS, "[]"))
        base_url = environment[names.SERVICE_PREFIX]
        user = environment[names.USER]
        runtime_dir = Path(environment["JUPYTER_RUNTIME_DIR"])
        interval = float(environment.get(names.ACTIVITY_INTERVAL) or DEFAULT_ACTIVITY_INTERVAL)
    except KeyError as exc:
        raise BadEnvironment(f"perijove starts this program with the variable {exc}, which is missing") from exc
    except ValueError as exc:
        raise BadEnvironment(f"a variable that perijove sets is damaged: {exc}") from exc
    server_name = environment.get(names.SERVER_NAME, "")
    home = Path(environment.get("HOME", "/"))
    return ServerConfig(
        user=user,
        server_name=server_name,
        base_url=_slashed(base_url),
        hub_prefix=_slashed(environment.get(names.BASE_URL, "/")) + "hub/",
        hub_host=environment.get(names.HOST, ""),
        audience=environment.get(names.AUDIENCE, f"{user}/{server_name}"),
        identity_keys=tuple(keys),
        api_token=environment.get(names.API_TOKEN, ""),
        activity_url=environment.get(names.ACTIVITY_URL, ""),
        activity_interval=interval,
        keep_url=_keep_url(environment.get(names.ACTIVITY_URL, ""), server_name),
        lab_assets_url=environment.get(names.LAB_ASSETS_URL, ""),
        notebook_assets_url=environment.get(names.NOTEBOOK_ASSETS_URL, ""),
        default_url=environment.get(names.DEFAULT_URL, "") or "/lab",
        root_dir=_root_dir(environment.get(names.ROOT_DIR, ""), home),
        runtime_dir=runtime_dir,
        debug=environment.get(names.DEBUG, "") not in ("", "0"),
        disable_user_config=environment.get(names.DISABLE_USER_CONFIG, "") not in ("", "0"),
    )


def _keep_url(activity_url: str, server_name: str) -> str:
    """Beside the address where activity is reported."""
    user, separator, _ = activity_url.rpartition("/activity")
    server = f"servers/{quote(server_name, safe='')}" if server_name else "server"
    return f"{user}/{server}/{KEEP}" if separator else ""


def _slashed(path: str) -> str:
    trimmed = path.strip("/")
    return f"/{trimmed}/" if trimmed else "/"


def _root_dir(wanted: str, home: Path) -> Path:
    if not wanted:
        return home
    if wanted == "~" or wanted.startswith("~/"):
        return home / wanted[2:]
    return Path(wanted)
