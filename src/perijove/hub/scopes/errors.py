"""
What can be wrong with a scope's text.
"""

from __future__ import annotations


class BadScope(ValueError):
    """There is no such scope."""
