"""
Groups of users: what administrators share limits, policies and permissions by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group; its members are rows of their own."""

    id: int
    name: str
    #: whatever an administrator keeps with it (contract d)
    properties: Mapping[str, Any] = field(default_factory=dict)
