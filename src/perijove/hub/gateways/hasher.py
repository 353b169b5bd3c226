"""
Password hashes: argon2id, in threads of its own, few at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from perijove.hub.domain.errors import TooManyAttempts

Answer = TypeVar("Answer")

#: OWASP's password storage cheat sheet: 19 MiB, two passes, one lane
_TIME_COST: Final = 2
_MEMORY_KIB: Final = 19 * 1024
_LANES: Final = 1
#: Of a password that nobody has, made with the costs above: compared with when there is no account of that name, so
#: that the time taken tells nothing. Made ahead, because making one takes a part of the hub's start.
NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$1nKSKOYmoqavNBZeXYesDg$OoFMG02PG0JKm30auAT0CQ/RsL2Tu1W1MaG2Ll0TBHA"
#: hashes computed at once: a flood of sign-ins must leave the hub a processor
AT_ONCE: Final = 2
#: hashes that may wait: beyond, people are asked to come back
MAX_WAITING: Final = 100


class Argon2Hasher:
    """`hub.ports.PasswordHasher`; close it when the hub ends."""

    def __init__(self) -> None:
        self._argon2 = PasswordHasher(time_cost=_TIME_COST, memory_cost=_MEMORY_KIB, parallelism=_LANES)
        self._threads = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """A new hash, as a PHC string. Raises TooManyAttempts if too many are being computed."""
        return await self._in_thread(lambda: self._argon2.hash(password))

    async def verify(self, password_hash: str, password: str) -> bool:
        """Whether *password* fits; an empty hash fits none, in the same time."""
        fits = await self._in_thread(lambda: self._fits(password_hash or NOBODY, password))
        return fits and bool(password_hash)

    def _fits(self, password_hash: str, password: str) -> bool:
        try:
            return bool(self._argon2.verify(password_hash, password))
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        if self._waiting >= MAX_WAITING:
            raise TooManyAttempts("Too many people are signing in right now.", retry_after=5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
