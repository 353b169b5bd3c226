"""
The files of a certificate that is obtained, and when it is obtained again.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import structlog
import trustme

from perijove.kit.files import replace_secret
from perijove.kit.tasks import TaskGroup
from perijove.proxy.acme.keeper import Keeper, words_of
from perijove.proxy.acme.settings import DEFAULT_SERVER, AcmeSettings
from perijove.proxy.acme.storage import (
    certificate_in,
    challenges_in,
    prepare,
    read_validity,
    write_challenge,
)
from perijove.proxy.core.renewal import FIRST_PAUSE, LOOK_SECONDS
from tests.integration.proxy.support import until

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


class StillClock:
    """Always the same moment."""

    def now(self) -> dt.datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


class Surroundings:
    """An authority that does as it is told, and a proxy that counts."""

    def __init__(self, settings: AcmeSettings, *, days: int = 90, reason: str = "") -> None:
        self.settings = settings
        self.days = days
        self.reason = reason
        self.obtained = 0
        self.installed = 0
        self.keeper = Keeper(
            settings=settings, clock=StillClock(), luck=lambda: 0.0, obtain=self.obtain, install=self.install
        )

    async def obtain(self) -> str:
        self.obtained += 1
        if not self.reason:
            issue(self.settings.folder, *self.settings.domains, days=self.days)
        return self.reason

    async def install(self) -> None:
        self.installed += 1


def issue(folder: Path, *names: str, days: int) -> None:
    """A certificate that has *days* of 90 left."""
    issued = trustme.CA().issue_cert(
        *names, not_before=NOW + dt.timedelta(days=days - 90), not_after=NOW + dt.timedelta(days=days)
    )
    prepare(folder)
    replace_secret(certificate_in(folder), issued.private_key_and_cert_chain_pem.bytes())


@pytest.fixture
def settings(tmp_path: Path) -> AcmeSettings:
    return AcmeSettings(domains=("a.org", "B.org"), folder=tmp_path / "acme")


async def test_a_certificate_is_obtained_when_there_is_none_and_then_left_alone(settings: AcmeSettings) -> None:
    around = Surroundings(settings)

    pauses = [await around.keeper.look() for _ in range(3)]

    assert (around.obtained, around.installed) == (1, 1)
    assert pauses == [LOOK_SECONDS] * 3


@pytest.mark.parametrize(("days", "times"), [(31, 0), (30, 1), (1, 1)])
async def test_it_is_renewed_when_a_third_is_left(settings: AcmeSettings, days: int, times: int) -> None:
    issue(settings.folder, "a.org", "b.org", days=days)
    around = Surroundings(settings)

    await around.keeper.look()

    assert around.obtained == times


async def test_a_failure_is_logged_and_tried_again_later_and_later(settings: AcmeSettings) -> None:
    around = Surroundings(settings, reason="rateLimited: too many")

    with structlog.testing.capture_logs() as log:
        pauses = [await around.keeper.look() for _ in range(3)]
    around.reason = ""
    good = await around.keeper.look()
    certificate_in(settings.folder).unlink()
    around.reason = "again"
    afterwards = await around.keeper.look()

    assert pauses == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert [entry["reason"] for entry in log] == ["rateLimited: too many"] * 3
    assert (good, afterwards) == (LOOK_SECONDS, FIRST_PAUSE)
    assert around.installed == 1


async def test_a_certificate_that_is_no_use_is_a_failure(settings: AcmeSettings) -> None:
    """
    Else the authority would be asked without end.
    """
    around = Surroundings(settings, days=10)

    assert await around.keeper.look() == FIRST_PAUSE
    assert around.installed == 0


@pytest.mark.parametrize("token", ["../account.pem", "", "a/b", "a b", "."])
def test_a_challenge_is_written_nowhere_else(tmp_path: Path, token: str) -> None:
    prepare(tmp_path)

    with pytest.raises(ValueError, match="no token"):
        write_challenge(tmp_path, token, "x")

    assert list(challenges_in(tmp_path).iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_as_good_as_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        certificate_in(tmp_path).write_bytes(content)

    assert read_validity(tmp_path) is None


def test_the_process_is_told_all_that_was_asked_for(tmp_path: Path) -> None:
    settings = AcmeSettings(domains=("a.org", "b.org"), folder=tmp_path, email="a@b.org", ca=Path("/ca"))

    assert words_of(settings) == (
        *("--acme-domain", "a.org", "--acme-domain", "b.org", "--acme-server", DEFAULT_SERVER),
        *("--acme-dir", str(tmp_path), "--acme-agree-tos", "--acme-email", "a@b.org", "--acme-ca", "/ca"),
    )


async def test_whatever_goes_wrong_once_it_is_looked_at_again(settings: AcmeSettings) -> None:
    around = Surroundings(settings)
    looks: list[int] = []

    async def fail_once() -> str:
        looks.append(1)
        if len(looks) == 1:
            raise OSError("no more processes")
        return await Surroundings.obtain(around)

    keeper = Keeper(settings=settings, clock=StillClock(), luck=lambda: 0.0, obtain=fail_once, install=around.install)
    async with TaskGroup("test") as tasks:
        with structlog.testing.capture_logs() as log:
            tasks.start("keeper", keeper.run())
            await until(lambda: len(looks) == 1)
            keeper.look_now()
            await until(lambda: around.installed == 1)

    assert [entry["event"] for entry in log] == ["acme.broken", "acme.obtained"]
