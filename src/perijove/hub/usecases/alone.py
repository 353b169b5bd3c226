"""
Being alone with somebody's name: whoever reads what belongs to it and then writes, or the other way round.

Over PostgreSQL units run side by side. Rows that are there are guarded by compare-and-swap; what is not there
yet, or must not be there, is guarded by this.
"""

from __future__ import annotations

from perijove.hub.ports import Unit


async def alone_with(unit: Unit, *names: str) -> None:
    """Go on when nobody else adds, renames or deletes the users of these *names*, or adds or starts their servers."""
    # In one order, so that two who want the same names wait for each other instead of both for ever.
    for name in sorted(set(names)):
        await unit.alone(f"user {name}")
