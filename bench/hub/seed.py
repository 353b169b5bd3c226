"""
Databases with many users, made through SQL for both sides: the same names, the same ones with running servers.

Each side makes its own empty tables first, so that nothing here knows more of them than the columns it fills.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

#: of the user `user000000`, on both sides
USER_TOKEN: Final = "fedcba9876543210fedcba9876543210"
_CREATED: Final = "2026-01-01 00:00:00.000000"


def name_of(number: int) -> str:
    """The name of a user; names sort as the ids do."""
    return f"user{number:06d}"


def is_active(number: int, users: int, active: int) -> bool:
    """Whether that user has a running server: they are spread evenly."""
    return number * active % users < active


def fill_perijove(file: Path, *, users: int, active: int, port: int) -> None:
    """Fill perijove's tables, which are there and empty."""
    running = [number for number in range(users) if is_active(number, users, active)]
    with closing(sqlite3.connect(file)) as database, database:
        database.executemany(
            "INSERT INTO users (id, name, admin, created, display_name) VALUES (?, ?, 0, ?, '')",
            ((number + 1, name_of(number), _CREATED) for number in range(users)),
        )
        database.executemany(
            "INSERT INTO servers (id, user_id, name, state, generation, created, display_name, handle, target, "
            "started_at, user_options, failure, failure_log, lease_holder) "
            "VALUES (?, ?, '', 'ready', 1, ?, '', ?, ?, ?, '{}', '', '[]', '')",
            (
                (place + 1, number + 1, _CREATED, f'{{"key": "{name_of(number)}/"}}', f"http://127.0.0.1:{port}",
                 _CREATED)
                for place, number in enumerate(running)
            ),
        )  # fmt: skip
        database.execute(
            "INSERT INTO tokens (user_id, prefix, token_hash, scopes, note, created, session_id, server) "
            "VALUES (1, ?, ?, '[\"inherit\"]', 'bench', ?, '', '')",
            (USER_TOKEN[:8], hashlib.sha256(USER_TOKEN.encode()).hexdigest(), _CREATED),
        )


def fill_jupyterhub(file: Path, *, users: int, active: int, port: int) -> None:
    """Fill JupyterHub's tables, which it has made in a first start."""
    running = [number for number in range(users) if is_active(number, users, active)]
    digest = hashlib.sha512(b"0123456789abcdef" + USER_TOKEN.encode()).hexdigest()
    with closing(sqlite3.connect(file)) as database, database:
        (role,) = database.execute("SELECT id FROM roles WHERE name = 'user'").fetchone()
        database.executemany(
            "INSERT INTO users (id, name, admin, created, cookie_id) VALUES (?, ?, 0, ?, ?)",
            ((number + 1, name_of(number), _CREATED, f"{number:032x}") for number in range(users)),
        )
        database.executemany(
            "INSERT INTO user_role_map (user_id, role_id, managed_by_auth) VALUES (?, ?, 0)",
            ((number + 1, role) for number in range(users)),
        )
        database.executemany(
            "INSERT INTO servers (id, proto, ip, port, base_url, cookie_name) "
            "VALUES (?, 'http', '127.0.0.1', ?, ?, 'c')",
            ((1000 + number, port, f"/user/{name_of(number)}/") for number in running),
        )
        database.executemany(
            "INSERT INTO spawners (user_id, server_id, name, state, started) VALUES (?, ?, '', '{}', ?)",
            ((number + 1, 1000 + number, _CREATED) for number in running),
        )
        database.execute(
            "INSERT INTO api_tokens (hashed, prefix, user_id, created, note, scopes, client_id) "
            "VALUES (?, ?, 1, ?, 'bench', ?, 'jupyterhub')",
            (f"sha512:1:0123456789abcdef:{digest}", USER_TOKEN[:4], _CREATED, '["inherit"]'),
        )
