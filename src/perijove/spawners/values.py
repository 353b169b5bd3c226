"""
What hub and spawners hand each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

#: What a spawner needs to find its server again after the hub restarted: JSON, kept in the database.
Handle = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnerUser:
    """Whose server it is; hooks and callables of the configuration see it as `spawner.user`."""

    name: str
    admin: bool = False
    groups: tuple[str, ...] = ()


#: Whose spawner it is that only shows its configuration.
NOBODY: Final = SpawnerUser(name="")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnRequest:
    """One start of one server."""

    #: `owner/server_name`
    key: str
    #: the hub's fencing number: one start each; asking twice for one generation starts one server
    generation: int
    user: str
    server_name: str
    #: made by the hub: JUPYTERHUB_* and PERIJOVE_*
    environment: Mapping[str, str]
    #: what the user chose on the start page
    user_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that has been started; it may take a moment until it answers."""

    #: origin for the proxy's route: `http://host:port` or `http+unix://<percent-encoded path>`
    target: str
    handle: Handle


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A step of a start, for the person who waits."""

    #: 0 to 100
    percent: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """What the hub gives a spawner class once, when it starts."""

    #: the launcher's socket
    launcher_socket: Path
    #: the hub's own environment, from which `env_keep` takes
    environment: Mapping[str, str] = field(default_factory=dict)
