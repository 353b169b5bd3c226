"""
Amounts of memory in a configuration: numbers, or text such as `2G`.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from traitlets import Float, TraitError
from traitlets.config import Configurable

_UNITS: Final = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_SPECIFICATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """
    Bytes in *text*: a number with an optional suffix K, M, G or T, powers of 1024.

    Raises:
        ValueError: it is something else.
    """
    match = _SPECIFICATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no amount of memory: write a number of bytes, or for instance '512M' or '2G'")
    return int(float(match[1]) * _UNITS[match[2].upper()])


class ByteSpecification(Float[int | None, int | float | str | None]):
    """Bytes, as a number or as text with a suffix; None is unlimited."""

    def validate(self, obj: Configurable, value: Any) -> int | None:
        """Read *value*."""
        if value is None:
            return None
        if isinstance(value, str):
            try:
                return parse_bytes(value)
            except ValueError as exc:
                raise TraitError(f"The {self.name!r} trait: {exc}") from exc
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            self.error(obj, value)
        return int(value)
