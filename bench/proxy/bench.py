"""
The proxy beside its peers: CPU per request, which a busy machine disturbs least, and requests per second.

    PYTHONPATH=bench python bench/proxy/bench.py [--seconds 4] [--rounds 3] [--write bench/results/proxy.md]

Needs `wrk` and `nginx`, which is the server behind all proxies. haproxy and configurable-http-proxy take part
if they are installed. Every proxy has one worker on core 0, load and server are on core 1. Every round asks every
peer in turn; the best round of each counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from loads import alive, echoes, idle_websockets, requests
from peers import (
    HERE,
    Peer,
    Recipe,
    configurable_http_proxy,
    free_port,
    haproxy,
    nginx_as_proxy,
    nginx_as_server,
    perijove,
    started,
)

from perijove.kit.jws import SigningKey
from perijove.wire.identity import IDENTITY_COOKIE, IdentityClaims
from report import machine, publish, table

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
OURS: Final = "perijove"
GUARDED: Final = "perijove, gate, metrics and access log on"
TINY, BROWSED, DOWN, UP, SHORT, LONG = "tiny GET", "browser GET", "1 MB down", "1 MB up", "64 B echo", "64 KB echo"
MEGABYTES: Final = {DOWN, UP}
FEW_TUNNELS: Final = 1000
MANY_TUNNELS: Final = 10_000
ROUTES: Final = 10_000


def statement(key: SigningKey) -> str:
    """A cookie that lets ada into her server."""
    now = int(time.time())
    claims = IdentityClaims(
        sub="ada", sid="s", aud="ada/", scope=("read", "write", "execute"), name="Ada", iat=now, exp=now + 7200, jti="j"
    )
    return f"{IDENTITY_COOKIE}={key.sign(claims.to_claims())}"


def measure(peer: Peer, figure: str, seconds: int, headers: Sequence[str], upload: Path) -> None:
    """Load *peer* once."""
    prefix = "/user/ada" if peer.name == GUARDED else ""
    before = peer.cpu()
    if figure == SHORT:
        count, rate = echoes(peer.port, 64, seconds=seconds)
    elif figure == LONG:
        count, rate = echoes(peer.port, 65536, seconds=seconds)
    elif figure == UP:
        count, rate = requests(peer.port, "/x", (), seconds=seconds, script=upload)
    else:
        path = "/big" if figure == DOWN else f"{prefix}/x"
        count, rate = requests(peer.port, path, headers if figure == BROWSED else (), seconds=seconds)
    peer.note(figure, (peer.cpu() - before) / max(count, 1) * 1e6, rate)


def tunnel_memory(peer: Peer) -> float:
    """KB per idle WebSocket."""
    # The first ones also pay for what all later ones share.
    held = idle_websockets(peer.port, FEW_TUNNELS)
    before = sum(peer.memory())
    held += idle_websockets(peer.port, FEW_TUNNELS)
    grown = sum(peer.memory()) - before
    for sock in held:
        sock.close()
    return grown / FEW_TUNNELS


def add_routes(peer: Peer, http: str, websockets: str) -> None:
    """The same two routes for the proxies that are told by their control API."""
    peer.call("POST", "/api/routes/", {"target": http, "access": "open"})
    peer.call("POST", "/api/routes/ws", {"target": websockets, "access": "open"})


def compare(options: argparse.Namespace, stack: ExitStack, folder: Path) -> list[str]:
    """All proxies, all loads."""
    http, websockets = free_port(), free_port()
    stack.enter_context(started(nginx_as_server(http, folder), http, "1"))
    stack.enter_context(started([sys.executable, str(HERE / "upstream.py"), str(websockets)], websockets, "1"))
    key = SigningKey.generate()
    keys, upload = folder / "keys.json", folder / "upload.lua"
    keys.write_text(json.dumps({"keys": [key.public_jwk]}))
    upload.write_text('wrk.method = "POST"\nwrk.body = string.rep("x", 1048576)\n')
    log = folder / "access.log"
    guarded = perijove(
        GUARDED, "--keys-file", str(keys), "--access-log", str(log), "--metrics-port", str(free_port()),
        "--metrics-ip", "127.0.0.1",
    )  # fmt: skip
    recipes: list[Recipe | None] = [
        perijove(OURS), guarded, haproxy(http, websockets, folder), nginx_as_proxy(http, websockets, folder),
        configurable_http_proxy(f"http://127.0.0.1:{http}"),
    ]  # fmt: skip
    peers = []
    for recipe in filter(None, recipes):
        process, seconds = stack.enter_context(started(recipe.words, recipe.port, "0"))
        peers.append(Peer(recipe.name, recipe.port, process, seconds, recipe.control))
    rows_of_memory = []
    for peer in peers:
        at_start = "+".join(f"{kb / 1024:.1f}" for kb in peer.memory())
        if peer.control:
            add_routes(peer, f"http://127.0.0.1:{http}", f"http://127.0.0.1:{websockets}")
        if peer.name == GUARDED:
            peer.call("POST", "/api/routes/user/ada", {"target": f"http://127.0.0.1:{http}", "audience": "ada/"})
        rows_of_memory.append([peer.name, f"{peer.start:.2f}", at_start, f"{tunnel_memory(peer):.1f}"])
    with_statement = [*BROWSER[:-1], f"{BROWSER[-1]}; {statement(key)}"]
    figures = [TINY, BROWSED, DOWN, UP, SHORT, LONG]
    for _ in range(options.rounds):
        for figure in figures:
            for peer in peers:
                if peer.name == GUARDED and figure != BROWSED:
                    continue
                headers = with_statement if peer.name == GUARDED else BROWSER
                measure(peer, figure, options.seconds, headers, upload)
    rows = [[peer.name, *(shown(peer, figure) for figure in figures)] for peer in peers]
    return [
        table(["proxy", "seconds to the first answer", "MB at start (PSS, each process)", "KB per idle WebSocket"],
              rows_of_memory),
        table(["proxy", *(f"{figure}: µs of CPU (per s)" for figure in figures)], rows),
        table(["ours against", *figures, "browser GET with gate, metrics and access log"], ratios(peers, figures)),
    ]  # fmt: skip


def shown(peer: Peer, figure: str) -> str:
    """One cell."""
    if figure not in peer.results:
        return "–"
    cpu, rate = peer.results[figure]
    return f"{cpu:.1f} ({rate:.0f})"


def ratios(peers: Sequence[Peer], figures: Sequence[str]) -> list[list[str]]:
    """Requests per second, and work per second of CPU, of ours for one of theirs."""
    ours, guarded = peers[0], peers[1]
    rows = []
    for peer in peers[2:]:
        row = [peer.name]
        for mine, figure in [*((ours, figure) for figure in figures), (guarded, BROWSED)]:
            (my_cpu, my_rate), (cpu, rate) = mine.results[figure], peer.results[figure]
            if not rate or not my_cpu:
                # The load found no answer in time: the machine was busy with something else.
                row.append("not measured")
                continue
            row.append(f"{my_rate / rate:.2f} × per s, {cpu / my_cpu:.2f} × per CPU")
        rows.append(row)
    return rows


def many(stack: ExitStack) -> str:
    """What ten thousand WebSockets and ten thousand routes cost."""
    websockets = free_port()
    stack.enter_context(started([sys.executable, str(HERE / "upstream.py"), str(websockets)], websockets, "1"))
    # Two descriptors a tunnel: one worker's limit may be below that.
    recipe = perijove("many", "--max-per-target", "9000", workers=2)
    process, seconds = stack.enter_context(started(recipe.words, recipe.port, "0"))
    peer = Peer(recipe.name, recipe.port, process, seconds, recipe.control)
    target = f"http://127.0.0.1:{websockets}"
    peer.call("POST", "/api/routes/", {"target": target, "access": "open"})
    held = idle_websockets(peer.port, 500)
    before = sum(peer.memory())
    held += idle_websockets(peer.port, MANY_TUNNELS - len(held))
    grown = (sum(peer.memory()) - before) / (MANY_TUNNELS - 500)
    living = alive(held)
    for sock in held:
        sock.close()
    return "\n".join(
        [
            f"{living} of {MANY_TUNNELS} idle WebSockets alive, {grown:.1f} KB each (two workers).",
            *routes(stack),
        ]
    )


def routes(stack: ExitStack) -> list[str]:
    """Ten thousand routes: time to replace all, memory of a worker, time to add one."""
    recipe = perijove("routes")
    process, seconds = stack.enter_context(started(recipe.words, recipe.port, "0"))
    peer = Peer(recipe.name, recipe.port, process, seconds, recipe.control)

    def bodies(base: int) -> dict[str, dict[str, object]]:
        return {
            f"/user/student-{number}": {
                "user": f"student-{number}", "server_name": "", "jupyterhub": True, "access": "gated",
                "target": f"http://127.0.0.1:{base + number}", "audience": f"student-{number}/",
            }
            for number in range(ROUTES)
        }  # fmt: skip

    before, after, times = peer.memory(), [], []
    for base in (20_000, 30_000, 40_000, 50_000):
        content = bodies(base)
        began = time.monotonic()
        peer.call("PUT", "/api/routes", content)
        times.append(time.monotonic() - began)
        after = after or peer.memory()
    return [
        (
            f"{ROUTES} routes: all replaced in {statistics.median(times) * 1000:.0f} ms (the caller's JSON included); "
            f"memory grew by {(after[1] - before[1]) / 1024:.1f} MB in the worker and "
            f"{(after[0] - before[0]) / 1024:.1f} MB in the parent."
        ),
        acknowledged(stack),
    ]


def acknowledged(stack: ExitStack) -> str:
    """How long a route takes until four workers have it."""
    recipe = perijove("four", workers=4)
    process, seconds = stack.enter_context(started(recipe.words, recipe.port, "0,1"))
    peer = Peer(recipe.name, recipe.port, process, seconds, recipe.control)
    times = []
    for number in range(1000):
        began = time.monotonic()
        peer.call("POST", f"/api/routes/user/new-{number}", {"target": "http://127.0.0.1:1"})
        times.append((time.monotonic() - began) * 1000)
    times.sort()
    median, p99 = times[500], times[990]
    return f"One more route, known to four workers, a connection each: median {median:.1f} ms, p99 {p99:.1f} ms."


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="file for the tables")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tables = compare(options, stack, folder)
    with ExitStack() as stack:
        tables.append(many(stack))
    tables.append(f"The best of {options.rounds} rounds of {options.seconds} s. {machine()}.")
    publish("\n\n".join(tables) + "\n", options.write)


if __name__ == "__main__":
    main()
