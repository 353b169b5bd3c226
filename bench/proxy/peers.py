"""
The proxies that are measured: how each is started, pinned to core 0, and what it uses.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

HERE: Final = Path(__file__).parent
SOURCE: Final = HERE.parents[1] / "src"
TOKEN: Final = "bench"  # nobody's


@dataclass
class Peer:
    """One proxy under test."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    #: seconds from its start to its first answer
    start: float
    #: port of its control API; 0: it has none that we drive
    control: int = 0
    #: figure -> (value, requests or megabytes per second), the best round
    results: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def processes(self) -> list[psutil.Process]:
        """It and its workers."""
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds that all its threads have run."""
        total = 0
        for process in self.processes:
            for task in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
                with suppress(FileNotFoundError):
                    total += int(task.read_text().split()[0])
        return total / 1e9

    def memory(self) -> list[int]:
        """Proportional set size of each of its processes, in KB."""
        return [pss(process.pid) for process in self.processes]

    def note(self, figure: str, value: float, rate: float) -> None:
        """Keep the best of all rounds."""
        known = self.results.get(figure, (float("inf"), 0.0))
        self.results[figure] = min(known[0], value), max(known[1], rate)

    def call(self, method: str, path: str, content: Any = None) -> bytes:
        """One call of its control API."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(  # loopback
            f"http://127.0.0.1:{self.control}{path}",
            data=body,
            method=method,
            headers={"Authorization": f"token {TOKEN}"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            got: bytes = answer.read()
        return got


def pss(pid: int) -> int:
    """Proportional set size of a process, in KB."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"^Pss: +(\d+)", rollup, re.MULTILINE)[0])


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def started(command: Sequence[str], port: int, core: str) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A process pinned to *core*, from when it answers on *port*, and the seconds that took."""
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "CONFIGPROXY_AUTH_TOKEN": TOKEN}
    began = time.monotonic()
    process = subprocess.Popen(
        ["taskset", "-c", core, *command], env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        while not answers(port):
            if time.monotonic() - began > 20 or process.poll() is not None:
                raise RuntimeError(f"does not start: {' '.join(command)}")
            time.sleep(0.005)
        yield process, time.monotonic() - began
    finally:
        process.terminate()
        process.wait(20)


def answers(port: int) -> bool:
    """Whether somebody answers a request there."""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as sock:
            sock.settimeout(2)
            sock.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return sock.recv(9) == b"HTTP/1.1 "
    except OSError:
        return False


@dataclass(frozen=True)
class Recipe:
    """How a proxy is started."""

    name: str
    port: int
    words: list[str]
    control: int = 0


def perijove(name: str, *flags: str, workers: int = 1) -> Recipe:
    """Ours."""
    port, control = free_port(), free_port()
    return Recipe(
        name,
        port,
        [
            sys.executable, "-P", "-m", "perijove", "proxy", "--ip", "127.0.0.1", "--port", str(port),
            "--api-port", str(control), "--workers", str(workers), "--log-level", "error", *flags,
        ],
        control,
    )  # fmt: skip


def haproxy(http: int, sockets: int, folder: Path) -> Recipe | None:
    """Haproxy as Debian has it, one thread, its defaults but for keep-alive to servers."""
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        return None
    port, config = free_port(), folder / "haproxy.cfg"
    config.write_text(
        "global\n nbthread 1\n maxconn 9000\ndefaults\n mode http\n option http-keep-alive\n"
        " timeout connect 5s\n timeout client 1h\n timeout server 1h\n timeout tunnel 1h\n"
        f"frontend f\n bind 127.0.0.1:{port}\n use_backend w if {{ path_beg /ws }}\n default_backend b\n"
        f"backend b\n http-reuse always\n server s 127.0.0.1:{http}\n"
        f"backend w\n server s 127.0.0.1:{sockets}\n"
    )
    return Recipe("haproxy", port, [program, "-db", "-f", str(config)])


def nginx_as_proxy(http: int, sockets: int, folder: Path) -> Recipe | None:
    """Nginx as Debian has it, one worker, its defaults but for keep-alive to servers."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        return None
    port = free_port()
    passed = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;'
    switched = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
    config = nginx_config(
        folder / "nginx-proxy",
        f"upstream http {{ server 127.0.0.1:{http}; keepalive 64; }}\n"
        f"server {{ listen 127.0.0.1:{port}; client_max_body_size 0; "
        f"location / {{ proxy_pass http://http; {passed} }}\n"
        f"location /ws {{ proxy_pass http://127.0.0.1:{sockets}; {switched} proxy_read_timeout 1h; }} }}",
    )
    return Recipe("nginx", port, [program, "-c", str(config), "-p", str(config.parent)])


def nginx_as_server(port: int, folder: Path) -> list[str]:
    """The server behind all of them: 73 bytes of JSON, 1 MB at /big, uploads read and forgotten."""
    home = folder / "nginx-server"
    home.mkdir()
    (home / "big").write_bytes(b"x" * 2**20)
    config = nginx_config(
        home,
        f"server {{ listen 127.0.0.1:{port} backlog=4096; client_max_body_size 0; keepalive_requests 100000000;\n"
        f"location = /big {{ root {home}; }}\n"
        f"location / {{ default_type application/json; return 200 '{'x' * 73}'; }} }}",
    )
    return [str(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")), "-c", str(config), "-p", str(home)]


def nginx_config(home: Path, content: str) -> Path:
    """A configuration for one worker in the foreground."""
    home.mkdir(exist_ok=True)
    path = home / "nginx.conf"
    user = "user root;\n" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{kind}_temp_path {home}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path.write_text(
        f"{user}daemon off;\nworker_processes 1;\npid {home}/pid;\nerror_log /dev/null;\n"
        f"events {{ worker_connections 9000; }}\nhttp {{\naccess_log off;\n{temporary}{content}\n}}\n"
    )
    return path


def configurable_http_proxy(target: str) -> Recipe | None:
    """JupyterHub's default proxy."""
    program = shutil.which("configurable-http-proxy")
    if program is None:
        return None
    port, control = free_port(), free_port()
    flags = ["--ip", "127.0.0.1", "--port", str(port), "--default-target", target, "--log-level", "error"]
    return Recipe("configurable-http-proxy", port, [program, *flags, "--api-port", str(control)], control)
