"""
A real perijove on free ports of loopback, with folders and system users of its own.

Every process it starts is ended by pid, every system user it makes is removed.
"""

from __future__ import annotations

import itertools
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import psutil
import pytest

from perijove.hub.web.lab.tree import LabTree, lab_static_dir
from tests.support.leftovers import remove_leftovers

T = TypeVar("T")

#: Names of system users that tests make begin with the first; with the second those of this very run.
ALL_RUNS: Final = "pjt"
USER_PREFIX: Final = f"{ALL_RUNS}{os.getpid()}-"
#: Numbers of the sites of this run: each has people of its own, whose homes are empty at first.
_SITES: Final = itertools.count(1)
#: Seconds for anything that should happen soon; long, because machines that run tests are busy.
PATIENCE: Final = 30.0
_LINK: Final = re.compile(r"(https?://\S+/hub/welcome\?key=\S+)")


def eventually(what: Callable[[], T], *, within: float = PATIENCE) -> T:
    """The first true answer of *what*; the last answer or error fails the test."""
    deadline = time.monotonic() + within
    while True:
        error: Exception | None = None
        try:
            answer = what()
        except (AssertionError, httpx.HTTPError, OSError, psutil.Error, LookupError) as exc:
            error = exc
        else:
            if answer:
                return answer
        if time.monotonic() > deadline:
            raise error or AssertionError(f"not true within {within} s")
        time.sleep(0.02)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Site:
    """
    One perijove, from start to stop.

    Args:
        folder: everything of it is in here.
        config: the end of its configuration file.
        words: on its command line.
        runner: the system user who runs it; None: whoever runs the tests.
        name: tells its files in *folder* from those of another.
        scheme: by which people come.
    """

    def __init__(
        self,
        folder: Path,
        config: str,
        *,
        words: tuple[str, ...] = (),
        runner: pwd.struct_passwd | None = None,
        name: str = "config",
        scheme: str = "http",
    ) -> None:
        #: what the names of its people's system users begin with
        self.people = f"{USER_PREFIX}{next(_SITES)}-"
        self.folder = folder
        self.runner = runner
        self.port = free_port()
        self.hub_port = free_port()
        self.origin = f"{scheme}://127.0.0.1:{self.port}"
        self.state = folder / "state"
        self.runtime = folder / "run"
        self.config = folder / f"{name}.py"
        self.config.write_text(self._settings() + config, encoding="utf-8")
        self._words = words
        self._output = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def _settings(self) -> str:
        return (
            f"c.Perijove.state_dir = {str(self.state)!r}\n"
            f"c.Perijove.runtime_dir = {str(self.runtime)!r}\n"
            f"c.Perijove.port = {self.port}\n"
            f"c.Perijove.hub_port = {self.hub_port}\n"
            f"c.Perijove.hub_user = {USER_PREFIX + 'hub'!r}\n"
            f"c.Perijove.proxy_user = {USER_PREFIX + 'proxy'!r}\n"
            f"c.LocalSpawner.system_user_prefix = {self.people!r}\n"
            # A template of kernels takes as long to warm up as all the rest; tests of kernels have one.
            "c.Launcher.fork_kernels = False\n"
        )

    def add(self, text: str) -> None:
        """Add to the end of the configuration file."""
        with self.config.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    def start(self, *, wait: bool = True, environ: Mapping[str, str] | None = None) -> None:
        """Run `perijove`, with *environ* on top; with *wait* until it says where it is."""
        already = self.output.count("perijove is at") if self._output.exists() else 0
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "perijove", "-f", str(self.config), *self._words],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd="/",
                env={**_environment(self.folder), **(environ or {})},
                start_new_session=True,
                user=self.runner.pw_uid if self.runner else None,
                group=self.runner.pw_gid if self.runner else None,
                extra_groups=[] if self.runner else None,
            )
        if wait:
            eventually(lambda: self._is_up(already))

    def _is_up(self, already: int) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"perijove ended:\n{self.output}")
        return self.output.count(f"perijove is at {self.origin}/") > already

    @property
    def environ(self) -> Mapping[str, str]:
        """What it, and commands for it, are started with."""
        return _environment(self.folder)

    def account(self, name: str) -> pwd.struct_passwd:
        """The system user that *name*'s server runs as, where perijove is root."""
        return pwd.getpwnam(self.people + name)

    @property
    def output(self) -> str:
        """What it wrote to the terminal so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    @property
    def first_admin_link(self) -> str:
        """The one-time link that it printed."""
        links: list[str] = eventually(lambda: _LINK.findall(self.output))
        return links[-1]

    @property
    def pid(self) -> int:
        """The supervisor's."""
        assert self._process is not None
        return self._process.pid

    def part(self, name: str) -> psutil.Process:
        """The process of the part *name*: hub, proxy or launcher."""
        for child in psutil.Process(self.pid).children():
            with suppress(psutil.Error):
                if name in child.cmdline():
                    return child
        raise LookupError(name)

    def hub(self, number: int) -> psutil.Process:
        """The process of that one of several hubs."""
        for child in psutil.Process(self.pid).children():
            with suppress(psutil.Error):
                if "hub" in child.cmdline() and child.environ().get("PERIJOVE_HUB_NUMBER") == str(number):
                    return child
        raise LookupError(number)

    def records(self, user: str) -> list[dict[str, Any]]:
        """What the launcher has written down of the default server of *user*: one item, while it runs."""
        written = []
        for path in self.runtime.glob("servers/*/server.json"):
            with suppress(OSError):
                written.append(json.loads(path.read_text(encoding="utf-8"))["launched"])
        return [launched for launched in written if launched["key"] == f"{user}/"]

    def server_pid(self, user: str) -> int:
        """The process of the default server of *user*."""
        pid: int = self.records(user)[0]["pid"]
        return pid

    def kill_part(self, name: str) -> int:
        """SIGKILL it; answers the pid that was."""
        process = self.part(name)
        process.send_signal(signal.SIGKILL)
        return process.pid

    def wait_for_new_part(self, name: str, old_pid: int) -> None:
        """Until another process has taken its place."""
        eventually(lambda: self.part(name).pid != old_pid)

    def interrupt(self) -> int:
        """Ctrl-C, and wait; answers the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout=90)

    def kill(self) -> None:
        """SIGKILL the supervisor."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=PATIENCE)

    def wait(self) -> int:
        """Until it ends by itself; answers the exit status."""
        assert self._process is not None
        return self._process.wait(timeout=PATIENCE)

    def close(self) -> None:
        """End it in order if it still runs, then whatever is left of it, by pid."""
        if self._process is not None and self._process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.interrupt()
        marker = str(self.folder)
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and marker in _traces(process):
                    process.kill()
        remove_leftovers(self.runtime)


def _traces(process: psutil.Process) -> str:
    fds = " ".join(item.path for item in process.open_files())
    return " ".join([*process.cmdline(), *process.environ().values(), fds])


def _environment(folder: Path) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
    return {**kept, "XDG_RUNTIME_DIR": str(folder), "TMPDIR": "/tmp", "HOME": str(folder)}


def make_system_user(name: str) -> pwd.struct_passwd:
    """An ordinary user without a home, removed at the end of the run; for root only."""
    login = USER_PREFIX + name
    with suppress(KeyError):
        return pwd.getpwnam(login)
    subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/sh", login], check=True, capture_output=True)
    return pwd.getpwnam(login)


def remove_system_users() -> None:
    """The system users of this run, and of runs that ended before they could; with their homes."""
    if os.geteuid() != 0:
        return
    for entry in pwd.getpwall():
        run = re.match(rf"{ALL_RUNS}(\d+)-", entry.pw_name)
        if run and (entry.pw_name.startswith(USER_PREFIX) or not Path("/proc", run[1]).exists()):
            subprocess.run(["userdel", "--remove", "--force", entry.pw_name], capture_output=True, check=False)


@contextmanager
def site_folder(runner: pwd.struct_passwd | None = None) -> Iterator[Path]:
    """An empty folder with a short path, *runner*'s own; removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pj-", dir="/tmp"))
    # Users' servers pass through on the way to their sockets.
    folder.chmod(0o755)
    if runner is not None:
        os.chown(folder, runner.pw_uid, runner.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _version_of_lab() -> str:
    with tempfile.TemporaryDirectory() as nowhere:
        return LabTree(source=lab_static_dir(), variants=Path(nowhere)).version


def _leave_lab_as_it_is(site: Site) -> None:
    """
    A place for compressed files of JupyterLab that is there and empty: the hub makes none, and sends them as they are.

    Making them takes ten times the processor time of a start.
    """
    variants = site.state / "hub" / "lab-assets" / _version_of_lab()
    variants.mkdir(parents=True)
    for folder in (site.state, variants.parents[1], variants.parent, variants):
        folder.chmod(0o755)
        if site.runner is not None:
            os.chown(folder, site.runner.pw_uid, site.runner.pw_gid)
    # The hub, whoever that will be, notes the version next to it.
    variants.parent.chmod(0o777)


@contextmanager
def unstarted_site(
    config: str = "",
    *,
    words: tuple[str, ...] = (),
    runner: pwd.struct_passwd | None = None,
    scheme: str = "http",
    compresses: bool = True,
) -> Iterator[Site]:
    """A perijove that has not been started; ended, if it was, and removed afterwards."""
    with site_folder(runner) as folder:
        site = Site(folder, config, words=words, runner=runner, scheme=scheme)
        if not compresses:
            _leave_lab_as_it_is(site)
        try:
            yield site
        finally:
            site.close()


@contextmanager
def running_site(
    config: str = "",
    *,
    words: tuple[str, ...] = (),
    runner: pwd.struct_passwd | None = None,
    compresses: bool = False,
) -> Iterator[Site]:
    """A perijove that is up; stopped and removed afterwards."""
    with unstarted_site(config, words=words, runner=runner, compresses=compresses) as site:
        site.start()
        yield site
