"""
Parameters of an OAuth request as they came: names, each with all of its values.

A parameter without a value counts as left out, and none may be there twice (RFC 6749, 3.1 and 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from perijove.hub.oauth.errors import Repeated

Parameters: TypeAlias = Mapping[str, Sequence[str]]


def only(parameters: Parameters, name: str) -> str:
    """
    The value of *name*; "" if it is left out.

    Raises:
        Repeated: it is there more than once.
    """
    values = parameters.get(name, ())
    if len(values) > 1:
        raise Repeated(f"The parameter {name} is there more than once.")
    return values[0] if values else ""
