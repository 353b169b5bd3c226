"""
Callables of administrators: what they answer may be a coroutine or the answer itself.
"""

from __future__ import annotations

import inspect
from typing import Any


async def settled(answer: Any) -> Any:
    """*answer*, once it is there."""
    return await answer if inspect.isawaitable(answer) else answer
