"""
Amounts of bytes as people read them.
"""

from __future__ import annotations

from typing import Final

_STEP: Final = 1024
_UNITS: Final = ("bytes", "KB", "MB", "GB", "TB")


def amount(count: int) -> str:
    """For instance `512 MB` or `1.5 GB`; in powers of 1024, as limits are configured."""
    value, unit = float(count), _UNITS[0]
    for unit in _UNITS:
        if value < _STEP - 0.5 or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{value:.1f} {unit}".replace(".0 ", " ") if value < 10 else f"{value:.0f} {unit}"  # noqa: PLR2004
