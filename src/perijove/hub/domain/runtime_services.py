"""
Services that were added through the API while the hub runs (contract d41); those of the configuration are `roles.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


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
