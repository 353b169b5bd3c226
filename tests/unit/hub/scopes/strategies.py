"""
Sets of scopes over a small world of names, so that they meet often.
"""

from __future__ import annotations

from hypothesis import strategies as st

from perijove.hub.scopes.catalog import CATALOG, METASCOPES
from perijove.hub.scopes.decision import (
    AnyResource,
    GroupResource,
    Resource,
    ServerResource,
    ServiceResource,
    UserResource,
)

PLAIN = sorted(set(CATALOG) - METASCOPES)
_NAMES = ("ada", "bob")
_FILTERS = (
    "",
    *(f"!user={name}" for name in _NAMES),
    *(f"!server={name}/{server}" for name in _NAMES for server in ("", "work")),
    "!group=g",
    "!service=culler",
)

scopes = st.builds(lambda name, narrowed: f"{name}{narrowed}", st.sampled_from(PLAIN), st.sampled_from(_FILTERS))
scope_sets = st.frozensets(scopes, max_size=8)
resources: st.SearchStrategy[Resource] = st.sampled_from(
    [
        AnyResource(),
        *(UserResource(name) for name in _NAMES),
        *(ServerResource(name, server) for name in _NAMES for server in ("", "work")),
        ServiceResource("culler"),
        GroupResource("g"),
    ]
)
