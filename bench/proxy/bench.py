"""
The proxy beside its peers: requests per second, and CPU per request, which a busy machine disturbs least.

    PYTHONPATH=bench python bench/proxy/bench.py [--seconds 5] [--rounds 3] [--write bench/results/proxy.md]

Needs `wrk`. haproxy and configurable-http-proxy take part if they are installed. The proxy under test runs
on core 0, load and server on core 1. Every round asks every peer in turn; the best round of each counts.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from report import machine, publish, table

HERE: Final = Path(__file__).parent
SOURCE: Final = HERE.parents[1] / "src"
BROWSER: Final = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.9",
    "Accept-Encoding: gzip, deflate, br",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Dest: empty",
    "Referer: http://127.0.0.1/user/ada/lab/tree/notebook.ipynb",
    "Cookie: _xsrf=2|" + "a" * 90 + "; jupyterhub-session-id=" + "b" * 32 + "; other=" + "c" * 300,
)
SCENARIOS: Final = {"tiny GET": ("/x", ()), "browser GET": ("/x", BROWSER), "1 MB down": ("/big", ())}
HANDSHAKE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
IDLE_TUNNELS: Final = 500


@dataclass
class Peer:
    """One proxy under test."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    #: scenario -> (microseconds of CPU per request, requests per second), the best round
    results: dict[str, tuple[float, float]] = field(default_factory=dict)

    def cpu(self) -> float:
        """Seconds that its threads have run."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def memory(self) -> int:
        """Proportional set size, in KB."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.findall(r"^Pss: +(\d+)", rollup, re.MULTILINE)[0])


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def started(command: Sequence[str], port: int, core: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process pinned to *core*, from when it listens on *port*."""
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "CONFIGPROXY_AUTH_TOKEN": "bench"}
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(10)


def commands(target: int, folder: Path) -> Iterator[tuple[str, int, list[str]]]:
    """Name, port and command line of each peer that is installed."""
    url, port = f"http://127.0.0.1:{target}", free_port()
    flags = ["--ip", "127.0.0.1", "--port", str(port), "--default-target", url, "--log-level", "error"]
    yield "perijove", port, [
        sys.executable, "-c", "from perijove.cli.proxy import proxy; proxy()", *flags, "--api-port", "0",
    ]  # fmt: skip
    if haproxy := shutil.which("haproxy"):
        port = free_port()
        config = folder / "haproxy.cfg"
        config.write_text(
            "global\n nbthread 1\n maxconn 3000\ndefaults\n mode http\n option http-keep-alive\n"
            " timeout connect 5s\n timeout client 1h\n timeout server 1h\n timeout tunnel 1h\n"
            f"frontend f\n bind 127.0.0.1:{port}\n default_backend b\n"
            f"backend b\n http-reuse always\n server s 127.0.0.1:{target}\n"
        )
        yield "haproxy", port, [haproxy, "-db", "-f", str(config)]
    if chp := shutil.which("configurable-http-proxy"):
        port = free_port()
        flags = ["--ip", "127.0.0.1", "--port", str(port), "--default-target", url, "--log-level", "error"]
        yield "configurable-http-proxy", port, [chp, *flags, "--api-port", str(free_port())]


def measure(peer: Peer, scenario: str, seconds: int) -> None:
    """Load *peer* once."""
    path, headers = SCENARIOS[scenario]
    before = peer.cpu()
    output = subprocess.run(
        ["taskset", "-c", "1", "wrk", "-t1", "-c32", f"-d{seconds}", *(f"-H{header}" for header in headers),
         f"http://127.0.0.1:{peer.port}{path}"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    used = peer.cpu() - before
    requests = int(re.findall(r"(\d+) requests in", output)[0])
    rate = float(re.findall(r"Requests/sec: +([\d.]+)", output)[0])
    if "Socket errors" in output or "Non-2xx" in output:
        print(f"{peer.name}, {scenario}: {output}")
    known = peer.results.get(scenario, (float("inf"), 0.0))
    peer.results[scenario] = min(known[0], used / requests * 1e6), max(known[1], rate)


def tunnel_memory(peer: Peer) -> float:
    """KB per idle WebSocket."""
    before, sockets = 0, []
    for number in range(2 * IDLE_TUNNELS):
        if number == IDLE_TUNNELS:
            # The first ones also pay for what all later ones share.
            before = peer.memory()
        sock = socket.create_connection(("127.0.0.1", peer.port))
        sock.sendall(HANDSHAKE)
        assert b" 101 " in sock.recv(4096)
        sockets.append(sock)
    grown = peer.memory() - before
    for sock in sockets:
        sock.close()
    return grown / IDLE_TUNNELS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="file for the table")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = free_port()
        stack.enter_context(started([sys.executable, str(HERE / "upstream.py"), str(target)], target, 1))
        peers = [
            Peer(name=name, port=port, process=stack.enter_context(started(command, port, 0)))
            for name, port, command in commands(target, folder)
        ]
        memory = {peer.name: (peer.memory(), tunnel_memory(peer)) for peer in peers}
        for _ in range(options.rounds):
            for scenario in SCENARIOS:
                for peer in peers:
                    measure(peer, scenario, options.seconds)
    heads = ["proxy", "MB at start (PSS)", "KB per idle WebSocket"]
    heads += [f"{scenario}: µs of CPU (per s)" for scenario in SCENARIOS]
    rows = []
    for peer in peers:
        start, idle = memory[peer.name]
        figures = (f"{cpu:.1f} ({rate:.0f})" for cpu, rate in peer.results.values())
        rows.append([peer.name, f"{start / 1024:.1f}", f"{idle:.1f}", *figures])
    text = f"{table(heads, rows)}\n\nThe best of {options.rounds} rounds of {options.seconds} s. {machine()}.\n"
    publish(text, options.write)


if __name__ == "__main__":
    main()
