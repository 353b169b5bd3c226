"""
The secret that CSRF tokens are made with: a file that only the hub can read, made at first start.

A new one costs people who have a form open a second try, nothing else.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

SECRET_BYTES: Final = 32


def load_cookie_secret(path: Path) -> bytes:
    """
    The secret in *path*; it is made there if there is none.

    Raises:
        OSError: the directory cannot be written or the file cannot be read.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _make(path)


def _read(path: Path) -> bytes:
    kept = path.read_bytes()
    if len(kept) >= SECRET_BYTES:
        return kept
    # Cut short by a full disk: such a secret could be guessed.
    path.unlink(missing_ok=True)
    return _make(path)


def _make(path: Path) -> bytes:
    """Whole or not at all: written aside, then linked into place. Of two hubs that start at once, one secret wins."""
    secret = secrets.token_bytes(SECRET_BYTES)
    unfinished = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    try:
        os.link(unfinished, path)
    except FileExistsError:
        return path.read_bytes()
    finally:
        unfinished.unlink()
    return secret
