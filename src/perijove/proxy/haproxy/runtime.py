"""
The connection to haproxy's runtime socket: one, in interactive mode, for as long as haproxy lives.

Commands are sent in a bundle and answered in order. Nothing is repeated here: a bundle that fails leaves haproxy in a
state that nobody knows, so whoever sent it starts another haproxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from perijove.proxy.core.errors import ProxyError
from perijove.proxy.core.haproxy_cli import PROMPT, read_answer

#: Bytes of one answer: the last activity of some hundred thousand routes.
MAX_ANSWER: Final = 32 * 1024 * 1024
#: Commands that are sent before an answer is awaited: what is on the way stays below the buffers of a socket.
BUNDLE: Final = 64


class RuntimeLost(ProxyError):
    """haproxy does not answer on its runtime socket."""


class RuntimeSocket:
    """A connection. Bundles are sent in the order in which they were asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, timeout: float) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout = timeout
        self._turn = asyncio.Lock()

    @classmethod
    async def connect(cls, path: Path, *, timeout: float) -> RuntimeSocket:
        """
        Connect to the socket at *path*.

        Args:
            path: where it is.
            timeout: seconds for each bundle of commands.

        Raises:
            RuntimeLost: nobody answers there.
        """
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_unix_connection(str(path), limit=MAX_ANSWER)
        except OSError as exc:
            raise RuntimeLost(f"{path}: {exc}") from exc
        runtime = cls(reader, writer, timeout=timeout)
        await runtime.run(["prompt"])
        return runtime

    async def run(self, commands: Sequence[str]) -> list[str]:
        """
        The answers to *commands*.

        Raises:
            RuntimeLost: not all were answered; some may have been carried out.
        """
        answers: list[str] = []
        async with self._turn:
            for start in range(0, len(commands), BUNDLE):
                answers += await self._run_bundle(commands[start : start + BUNDLE])
        return answers

    def close(self) -> None:
        """Cut the connection."""
        self._writer.transport.abort()

    async def _run_bundle(self, commands: Sequence[str]) -> list[str]:
        try:
            async with asyncio.timeout(self._timeout):
                self._writer.write("".join(f"{command}\n" for command in commands).encode("ascii"))
                raw = [await self._reader.readuntil(PROMPT) for _ in commands]
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as exc:
            raise RuntimeLost(f"haproxy's runtime socket: {exc!r}") from exc
        return [read_answer(answer.removesuffix(PROMPT)) for answer in raw]
