"""
Password hashes: argon2id in threads, a few at once, `hub.ports.PasswordHasher`.

Parameters are those that OWASP's password storage cheat sheet gives as the least: 19 MiB, two passes, one lane.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

_PASSES: Final = 2
_MEMORY_KIB: Final = 19 * 1024
_LANES: Final = 1
#: At once: more would make every one of them slower, and the hub with them.
_THREADS: Final = 2


class Argon2Hasher:
    """Hashes and verifies; an unknown name costs as much as a wrong password."""

    def __init__(self) -> None:
        self._argon2 = Argon2(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")
        self._nobody = self._argon2.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """A PHC string."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._argon2.hash, password)

    async def verify(self, password_hash: str, password: str) -> bool:
        """Whether *password* is the one; an empty hash is compared with one that nobody has."""
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._verify, password_hash or self._nobody, password
        )

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            self._argon2.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash != self._nobody
