"""
The audit log's copy in a file: a line of JSON for each entry, in the order of the chain.

The file is opened for each round, so that it can be moved away at any time (logrotate needs no signal). How far it got
is in a small file beside it, which survives that. Of several hubs with one file, one writes at a time.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from typing import Any, Final

from perijove.hub.domain.audit import AuditEntry
from perijove.hub.usecases.audit_chain import AuditFileUnusable

#: what is appended to the name of the file for the one beside it
POSITION: Final = ".position"
#: digits of a position: the file keeps its length, so that writing it needs no room on a full disk
_DIGITS: Final = 20
#: bytes at the end of the file in which its last line is looked for
_TAIL: Final = 64 * 1024


class JsonLinesFile:
    """`AuditFile` on disk."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def position(self) -> int:
        """Place of the last entry that was written. Raises AuditFileUnusable."""
        return await asyncio.to_thread(self._position)

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """All of them or none; what another hub has written meanwhile is left out. Raises AuditFileUnusable."""
        await asyncio.to_thread(self._append, entries)

    def _position(self) -> int:
        with self._locked() as beside, self._opened() as file:
            return _reached(beside, file)

    def _append(self, entries: Sequence[AuditEntry]) -> None:
        with self._locked() as beside, self._opened() as file:
            reached = _reached(beside, file)
            new = [entry for entry in entries if entry.sequence > reached]
            if not new:
                return
            _write_whole(file, "".join(f"{line_of(entry)}\n" for entry in new).encode())
            os.pwrite(beside, _as_digits(new[-1].sequence), 0)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file beside it, held by one process at a time."""
        with _translated(self._path):
            descriptor = os.open(f"{self._path}{POSITION}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # A lock is held for as long as it takes to write a batch.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield descriptor
            finally:
                os.close(descriptor)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def line_of(entry: AuditEntry) -> str:
    """An entry as a line, without the end of the line."""
    told: Mapping[str, Any] = {
        "sequence": entry.sequence,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "action": entry.action.value,
        "actor": entry.actor,
        "actor_kind": entry.actor_kind,
        "target": entry.target,
        "detail": dict(entry.detail),
        "address": entry.address,
        "hash": entry.sealed_hash,
    }
    return json.dumps(told, ensure_ascii=True, separators=(",", ":"))


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise AuditFileUnusable(f"{path}: {exc.strerror}") from exc


def _reached(beside: int, file: int) -> int:
    """The further of the two: a process may have died between writing one and the other."""
    noted = os.pread(beside, _DIGITS + 1, 0).strip()
    return max(int(noted) if noted.isdigit() else 0, _last_in(file))


def _last_in(file: int) -> int:
    size = os.fstat(file).st_size
    lines = os.pread(file, _TAIL, max(0, size - _TAIL)).splitlines()
    for line in reversed(lines):
        try:
            return int(json.loads(line)["sequence"])
        except (ValueError, KeyError, TypeError):
            # Somebody else wrote into it, or its beginning is cut off.
            continue
    return 0


def _write_whole(file: int, data: bytes) -> None:
    size = os.fstat(file).st_size
    try:
        written = 0
        while written < len(data):
            written += os.write(file, data[written:])
        os.fsync(file)
    except OSError:
        # Half a batch, or half a line, would be there twice later.
        os.ftruncate(file, size)
        raise


def _as_digits(sequence: int) -> bytes:
    return f"{sequence:0{_DIGITS}d}\n".encode()
