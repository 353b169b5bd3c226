"""
What the whole suite shares: unit tests touch no network, and CI skips nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from pytest_socket import disable_socket, enable_socket

from tests.support.databases import Databases

# How long an example takes says something about the machine, nothing about the code.
settings.register_profile("untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

UNIT = Path(__file__).parent / "unit"


@pytest.fixture(autouse=True)
def _no_sockets_in_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """
    A unit test that opens a socket tests something else than its unit. Loops need socket pairs, so unix is let be.
    """
    if UNIT in request.path.parents:
        disable_socket(allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """
    One server for the whole session.
    """
    with ExitStack() as held:
        yield Databases(tmp_path_factory.mktemp("databases"), held)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where nothing may be skipped, say what was."""
    skipped = terminalreporter.stats.get("skipped", [])
    if os.environ.get("PERIJOVE_TEST_NOTHING_SKIPPED") and skipped:
        terminalreporter.write_line(f"{len(skipped)} tests were skipped where nothing may be skipped", red=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn skips into a failure in CI."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    strict = os.environ.get("PERIJOVE_TEST_NOTHING_SKIPPED") and exitstatus == 0
    if strict and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
