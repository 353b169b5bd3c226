"""
The password of everybody in tests.
"""

from __future__ import annotations

from typing import Final

PASSWORD: Final = "correct horse battery staple"
