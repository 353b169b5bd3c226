"""
A real PostgreSQL for tests: one server a session, on a unix socket, and a fresh database for each test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql

#: where Debian and its relatives keep the programs of each version
_FOLDERS: Final = "/usr/lib/postgresql/*/bin"
#: seconds for anything that one of them does
_PATIENCE: Final = 60
#: Port of the unix socket's name; nothing listens on TCP.
_PORT: Final = 5432


class Postgres:
    """A running server."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._numbers = count(1)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self._folder} -c fsync=off"
        self._control("start", "-l", str(self._folder / "log"), "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop it; *mode* `immediate` is as if it had crashed."""
        self._control("stop", "-m", mode)

    @property
    def crash_command(self) -> str:
        """What crashes and starts it again, for a shell of the user who runs the tests."""
        who = "" if os.getuid() else "setpriv --reuid=postgres --regid=postgres --clear-groups "
        data, log = self._folder / "data", self._folder / "log"
        return f"{who}{self._programs / 'pg_ctl'} -D {data} -l {log} -w -m immediate restart"

    @property
    def pid(self) -> int:
        """Of the process that all others descend from."""
        return int((self._folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    def create(self, *, template: str = "template1") -> str:
        """A new database's name."""
        name = f"test{next(self._numbers)}"
        with self.connect() as connection:
            words = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(words.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop(self, name: str) -> None:
        """Forget a database, and whoever is connected to it."""
        with self.connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def url(self, name: str) -> str:
        """What `c.Perijove.db_url` would be."""
        return f"postgresql://hub@/{name}?host={self._folder}"

    def connect(self, name: str = "postgres") -> psycopg.Connection:
        """A connection of the administrator's, each statement on its own."""
        return psycopg.connect(self.url(name), autocommit=True)

    def terminate(self, name: str) -> int:
        """Cut every connection to a database, and wait until they are; how many."""
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE datname = %s",
                (_PATIENCE * 1000, name),
            )
            return len(rows.fetchall())

    def add_role(self, role: str, password: str, database: str) -> None:
        """Somebody who has to give a password, and owns a database."""
        rules = self._folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {role} scram-sha-256\n{rules.read_text()}")
        with self.connect() as connection:
            words = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(words.format(sql.Identifier(role), sql.Literal(password)))
            owner = sql.SQL("ALTER DATABASE {} OWNER TO {}")
            connection.execute(owner.format(sql.Identifier(database), sql.Identifier(role)))
            connection.execute("SELECT pg_reload_conf()")

    def initialise(self) -> None:
        """Make its files. Nothing is worth syncing to disk."""
        program = str(self._programs / "initdb")
        words = [program, "-D", str(self._folder / "data"), "-A", "trust", "-U", "hub", "--no-sync", "-E", "UTF8"]
        self._run([*words, "--locale=C.UTF-8"])

    def _control(self, *words: str) -> None:
        program = str(self._programs / "pg_ctl")
        self._run([program, "-D", str(self._folder / "data"), "-w", "-t", str(_PATIENCE), *words])

    def _run(self, words: list[str]) -> None:
        who = {} if os.getuid() else {"user": "postgres", "group": "postgres", "extra_groups": []}
        environ = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        # To a file: the server keeps what its starter was given open, and a pipe would never end.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                words,
                env=environ,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=_PATIENCE,
                check=False,
                **who,  # type: ignore[call-overload]
            )
            output.seek(0)
            assert done.returncode == 0, output.read().decode()


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, newest version first; None if it is not installed."""
    found = sorted(Path("/").glob(_FOLDERS.removeprefix("/")), key=lambda path: float(path.parent.name))
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server in a folder of its own, that the user it runs as can enter; stopped and removed in the end."""
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="perijove-pg-"))
    try:
        # Whoever the hub runs as comes through here to the socket; the data are in a folder of their own.
        folder.chmod(0o755)
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        server = Postgres(where, folder)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            _stop(server)
    finally:
        shutil.rmtree(folder)


def _stop(server: Postgres) -> None:
    """A test may have stopped it already."""
    try:
        pid = server.pid
    except FileNotFoundError:
        return
    server.stop("immediate")
    deadline = time.monotonic() + _PATIENCE
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
