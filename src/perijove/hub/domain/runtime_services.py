"""
Services that were added through the API while the hub runs (contract d41); those of the configuration are `roles.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from perijove.hub.domain.roles import Service
from perijove.wire.routes import GATED


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeService:
    """A row: the declaration without its token, whose hash is kept apart."""

    name: str
    #: first characters of its token, to find the row; empty if it has none
    prefix: str = ""
    #: SHA-256 of its token, hex; empty if it has none
    token_hash: str = ""
    #: keys of contract g, less `name` and `api_token`
    declaration: Mapping[str, Any] = field(default_factory=dict)
    created: datetime

    @property
    def service(self) -> Service:
        """As the services of the configuration are known."""
        said = self.declaration
        return Service(
            name=self.name,
            api_token_hash=self.token_hash,
            admin=said.get("admin") is True,
            url=str(said.get("url") or "").rstrip("/"),
            display=said.get("display") is not False,
            info=dict(said.get("info") or {}),
            oauth_client_id=str(said.get("oauth_client_id") or ""),
            oauth_redirect_uri=str(said.get("oauth_redirect_uri") or ""),
            oauth_no_confirm=said.get("oauth_no_confirm") is True,
            oauth_client_allowed_scopes=tuple(said.get("oauth_client_allowed_scopes") or ()),
            is_gated=said.get("access") == GATED,
        )
