"""
One contract, every engine: the fixture `engine` runs a test with each, `site` makes a proxy with one.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import pytest

from perijove.proxy.core.targets import parse_target
from tests.integration.proxy.support import Site, listening, running
from tests.integration.proxy.test_process import process, started

Engine: TypeAlias = Literal["local", "workers", "haproxy"]
MakeSite: TypeAlias = Callable[..., AbstractAsyncContextManager[Site]]
#: how many processes of an engine ask the hub
PROCESSES: Final[Mapping[Engine, int]] = {"local": 1, "workers": 2, "haproxy": 1}


@pytest.fixture(params=["local", "workers", "haproxy"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Which engine carries the traffic."""
    name: Engine = request.param
    if name == "haproxy" and shutil.which("haproxy") is None:
        pytest.skip("haproxy is not installed (apt install haproxy)")
    return name


@pytest.fixture
def make_site(engine: Engine) -> MakeSite:
    """Starts proxies: `hub_url`, `recheck_interval` and `snapshot` are its settings."""

    def make(**settings: Any) -> AbstractAsyncContextManager[Site]:
        return _in_processes(**settings) if engine == "workers" else _in_a_thread(engine, **settings)

    return make


@pytest.fixture
async def site(make_site: MakeSite) -> AsyncIterator[Site]:
    """A proxy without a door."""
    async with make_site() as made:
        yield made


@asynccontextmanager
async def _in_a_thread(engine: Engine, *, hub_url: str = "", **settings: Any) -> AsyncIterator[Site]:
    if hub_url:
        settings["hubs"] = (parse_target(hub_url),)
    async with running(engine="haproxy" if engine == "haproxy" else "builtin", **settings) as made:
        yield made


@asynccontextmanager
async def _in_processes(
    *, hub_url: str = "", recheck_interval: float | None = None, snapshot: Path | None = None
) -> AsyncIterator[Site]:
    flags = ["--workers", "2"]
    flags += ["--hub-url", hub_url] if hub_url else []
    flags += ["--recheck-interval", str(recheck_interval)] if recheck_interval else []
    flags += ["--snapshot", str(snapshot)] if snapshot else []
    fds = {"public": listening(), "control": listening()}
    ports = [sock.getsockname()[1] for sock in fds.values()]
    # Below a supervisor it says that it listens at this level only.
    async with process(*flags, "--log-level", "debug", fds=fds) as child:
        for sock in fds.values():
            sock.close()
        await started(child)
        made = Site(port=ports[0], control_port=ports[1])
        try:
            yield made
        finally:
            for client in made.clients:
                await client.gone()
            child.terminate()
            await child.wait()
