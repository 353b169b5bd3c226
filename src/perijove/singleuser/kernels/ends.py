"""
Why kernels of this server are no more, for the page that shows their notebooks.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import Any, Final

from perijove.wire.kernels import KernelEnd

#: Kernels whose end is remembered; older ones are forgotten.
REMEMBERED: Final = 100


class Ends:
    """The last end of each kernel that ended by itself."""

    def __init__(self) -> None:
        self._ends: OrderedDict[str, tuple[KernelEnd, datetime]] = OrderedDict()

    def remember(self, kernel_id: str, end: KernelEnd, at: datetime) -> None:
        """The kernel *kernel_id* ended, and nobody had asked for it."""
        self._ends.pop(kernel_id, None)
        self._ends[kernel_id] = (end, at)
        if len(self._ends) > REMEMBERED:
            self._ends.popitem(last=False)

    def model(self, kernel_id: str) -> dict[str, Any] | None:
        """What a page shows; None: nothing is known."""
        if kernel_id not in self._ends:
            return None
        end, at = self._ends[kernel_id]
        return {**end.to_json(), "at": at.isoformat()}
