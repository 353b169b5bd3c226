"""
Jupyter Server's files and kernels, where the disk may be full: what is deleted is gone, what is there can be opened.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import structlog
from jupyter_core.paths import is_hidden
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from nbformat.sign import NotebookNotary, SQLiteSignatureStore
from traitlets import default

from perijove.singleuser import room

log = structlog.get_logger(__name__)


class Files(AsyncLargeFileManager):
    """Files below the root directory."""

    @default("notary")
    def _notary_default(self) -> NotebookNotary:
        return Notary(parent=self)  # type: ignore[no-untyped-call]

    async def delete_file(self, path: str) -> None:
        """
        Delete a file or a directory: for good where the disk is full.

        The trash is on the same disk. What is moved there makes no room, and moving itself needs some.
        """
        target = Path(self._get_os_path(path.strip("/")))  # type: ignore[no-untyped-call]
        if not self.delete_to_trash or not await asyncio.to_thread(self._is_stuck, target):
            await super().delete_file(path)  # type: ignore[no-untyped-call]
            return
        with self.perm_to_403():
            await asyncio.to_thread(_remove, target)
        log.warning("file.deleted_for_good", path=path, why="the disk is full")

    def _is_stuck(self, target: Path) -> bool:
        """Whether *target* may be deleted, but cannot be moved to the trash to any purpose."""
        may_go = os.path.lexists(target) and (self.allow_hidden or not is_hidden(str(target), self.root_dir))
        return may_go and room.is_full(target.parent)


def _remove(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink()


class Notary(NotebookNotary):
    """Knows which notebooks are their user's own work."""

    @default("store_factory")
    def _store_factory_default(self) -> Any:
        return lambda: Signatures(self.db_file, parent=self)  # type: ignore[no-untyped-call]

    def _write_secret_file(self, secret: bytes) -> None:
        try:
            super()._write_secret_file(secret)  # type: ignore[no-untyped-call]
        except OSError as exc:
            # Good for as long as this server runs.
            log.warning("secret.not_kept", why=exc.strerror)


class Signatures(SQLiteSignatureStore):
    """What it knows. A disk that is full is no broken database, and no reason not to open a notebook."""

    def _connect_db(self, db_file: str) -> sqlite3.Connection:
        if db_file == ":memory:" or room.refusal(Path(db_file).parent) is None:
            connection: sqlite3.Connection = super()._connect_db(db_file)  # type: ignore[no-untyped-call]
            return connection
        log.warning("signatures.not_kept", file=db_file)
        memory: sqlite3.Connection = super()._connect_db(":memory:")  # type: ignore[no-untyped-call]
        try:
            with sqlite3.connect(f"{Path(db_file).absolute().as_uri()}?mode=ro&immutable=1", uri=True) as kept:
                kept.backup(memory)
            kept.close()
        except sqlite3.Error as exc:
            log.debug("signatures.not_read", why=str(exc))
        return memory

    def check_signature(self, digest: str, algorithm: str) -> bool:
        """Whether a notebook is known; that it has been seen just now is noted if there is room."""
        try:
            return bool(super().check_signature(digest, algorithm))  # type: ignore[no-untyped-call]
        except sqlite3.OperationalError:
            self.db.rollback()
        query = "SELECT id FROM nbsignatures WHERE algorithm = ? AND signature = ?"
        return self.db.execute(query, (algorithm, digest)).fetchone() is not None

    def store_signature(self, digest: str, algorithm: str) -> None:
        """Remember a notebook, if there is room."""
        try:
            super().store_signature(digest, algorithm)  # type: ignore[no-untyped-call]
        except sqlite3.OperationalError as exc:
            self.db.rollback()
            log.warning("signature.not_kept", why=str(exc))


class Kernels(AsyncMappingKernelManager):
    """The kernels of this server."""

    def pre_start_kernel(self, kernel_name: str | None, kwargs: Any) -> Any:
        """Let a kernel write elsewhere what the home does not take."""
        given = kwargs.get("env") or os.environ
        more = room.for_kernel(given, runtime=Path(self.connection_dir))
        if more:
            kwargs["env"] = {**given, **more}
        return super().pre_start_kernel(kernel_name, kwargs)
