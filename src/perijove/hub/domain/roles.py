"""
Roles and services as the configuration declares them (contract f and g).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A named set of scopes, given to users and services."""

    name: str
    description: str = ""
    scopes: tuple[str, ...] = ()
    #: None: not stated (matters for the role `user`, which then is everybody's)
    users: frozenset[str] | None = None
    services: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A program that talks to the hub with a token of its own."""

    name: str
    api_token_hash: str
    admin: bool = False
    url: str = ""
    display: bool = True
    info: Mapping[str, Any] = field(default_factory=dict)
    #: its OAuth client (contract g): empty is `service-<name>`
    oauth_client_id: str = ""
    #: empty: `oauth_callback` below its prefix
    oauth_redirect_uri: str = ""
    #: whether people are not asked
    oauth_no_confirm: bool = False
    #: most that tokens of its visitors may do, as declared
    oauth_client_allowed_scopes: tuple[str, ...] = ()
    #: whether the proxy lets in only who may enter; otherwise it asks its visitors itself, as JupyterHub's do
    is_gated: bool = False

    @property
    def client_id(self) -> str:
        """What it is called as an OAuth client, if it is one."""
        return self.oauth_client_id or f"service-{self.name}"
