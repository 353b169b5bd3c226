"""
What one request costs in Python alone: the whole way through the proxy between transports that do nothing.

    PYTHONPATH=bench python bench/proxy/path.py [--requests 100000] [--profile] [--access-log /dev/null]

The kernel's share (two reads, two writes) is not in it, so it hardly depends on what else the machine does: the
figure to look at while changing the hot path.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import time
from typing import Any, cast

from bench import BROWSER
from perijove.kit.jws import SigningKey
from perijove.proxy.config import ProxyConfig
from perijove.proxy.core.changes import PutRoute, SetKeys
from perijove.proxy.core.state import State
from perijove.proxy.core.targets import parse_target
from perijove.proxy.net.tls import TrafficTls
from perijove.proxy.net.upstream import UpstreamConnection
from perijove.proxy.net.worker import Worker
from perijove.wire.identity import IdentityClaims

ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: TornadoServer/6.4\r\nContent-Type: application/json\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Length: 73\r\n\r\n" + b"x" * 73
)


class Nowhere(asyncio.Transport):
    """Takes everything."""

    def write(self, data: Any) -> None:
        """Forget *data*."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever buffered."""

    def is_closing(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Stay."""

    abort = close
    pause_reading = close
    resume_reading = close

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """An address."""
        return ("127.0.0.1", 5) if name == "peername" else default


async def measure(
    config: ProxyConfig, requests: int, head: bytes, state: State, profile: cProfile.Profile | None
) -> float:
    """Microseconds a request."""
    worker = Worker(config, state, TrafficTls(config.tls.public, config.tls.client))
    frontend: Any = worker._frontend  # noqa: SLF001
    upstream = UpstreamConnection(parse_target("http://127.0.0.1:9"), frontend._pool)  # noqa: SLF001
    upstream.connection_made(Nowhere())
    frontend._pool.put(upstream)  # noqa: SLF001
    client = frontend()
    client.connection_made(Nowhere())
    ask, answer = client.data_received, cast("Any", upstream).data_received
    if profile:
        profile.enable()
    began = time.process_time()
    for _ in range(requests):
        ask(head)
        answer(ANSWER)
    used = time.process_time() - began
    if profile:
        profile.disable()
    return used / requests * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--access-log", default="")
    options = parser.parse_args()
    config = ProxyConfig(access_log=options.access_log)
    key = SigningKey.generate()
    now = int(time.time())
    claims = IdentityClaims(
        sub="ada", sid="s", aud="ada/", scope=("read", "write", "execute"), name="Ada", iat=now, exp=now + 3600, jti="j"
    )
    fields = [*BROWSER]
    fields[-1] += f"; perijove-identity={key.sign(claims.to_claims())}"
    for name, lines, gated in (("tiny", [], False), ("browser", list(BROWSER), False), ("gated", fields, True)):
        state = State()
        access = {"access": "gated", "audience": "ada/"} if gated else {"access": "open"}
        state.apply(PutRoute("/user/ada", {"target": "http://127.0.0.1:9", **access}), now=0)
        if gated:
            state.apply(SetKeys([key.public_jwk]), now=0)
        head = "\r\n".join(["GET /user/ada/api/contents HTTP/1.1", "Host: hub.example.org", *lines, "", ""]).encode()
        profile = cProfile.Profile() if options.profile else None
        rounds = 1 if profile else 15
        cost = min(asyncio.run(measure(config, options.requests, head, state.copy(), profile)) for _ in range(rounds))
        print(f"{name}: {cost:.1f} µs")
        if profile:
            pstats.Stats(profile).sort_stats("tottime").print_stats(18)


if __name__ == "__main__":
    main()
