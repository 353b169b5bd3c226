from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perijove.hub.gateways.signer import FileSigner, SigningKeyUnusable
from perijove.hub.usecases.testing import FakeSigner
from perijove.kit.jws import Verifier

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CLAIMS = {"sub": "ada", "aud": "ada/", "exp": NOW.timestamp() + 60}


def test_a_new_key_is_for_its_owner_only_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "hub" / "key.pem"

    FileSigner.open(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_restarted_hub_signs_with_the_same_key(tmp_path: Path) -> None:
    """
    Nobody is signed out by a restart.
    """
    path = tmp_path / "key.pem"
    token = FileSigner.open(path).sign(CLAIMS)

    verifier = Verifier(FileSigner.open(path).public_jwks)

    assert verifier.verify(token, audience="ada/", now=NOW)["sub"] == "ada"


def test_a_hub_reads_its_own_statements_and_no_others(tmp_path: Path) -> None:
    ours, theirs = (FileSigner.open(tmp_path / name) for name in ("ours.pem", "theirs.pem"))
    statement = ours.sign(CLAIMS)
    later = NOW + timedelta(hours=1)

    assert ours.read(statement, audience="ada/", now=NOW) == CLAIMS
    assert ours.read(statement, audience="eve/", now=NOW) is None
    assert ours.read(statement, audience="ada/", now=later) is None
    assert theirs.read(statement, audience="ada/", now=NOW) is None
    assert [ours.read(text, audience="ada/", now=NOW) for text in ("", "x", "a.b.c", "ü")] == [None] * 4


def test_the_signer_of_tests_reads_alike() -> None:
    fake = FakeSigner()
    statement = fake.sign(CLAIMS)

    assert fake.read(statement, audience="ada/", now=NOW) == CLAIMS
    assert fake.read(statement, audience="eve/", now=NOW) is None
    assert fake.read(statement, audience="ada/", now=NOW + timedelta(hours=1)) is None
    assert fake.read("x", audience="ada/", now=NOW) is None


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    FileSigner.open(path)
    path.chmod(0o644)

    with pytest.raises(SigningKeyUnusable, match="chmod 600"):
        FileSigner.open(path)


def test_a_damaged_key_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("no key")
    path.chmod(0o600)

    with pytest.raises(SigningKeyUnusable, match="holds no private key"):
        FileSigner.open(path)
    assert path.read_text() == "no key"


def test_a_directory_that_cannot_be_made_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("a file")

    with pytest.raises(SigningKeyUnusable, match="cannot be used"):
        FileSigner.open(tmp_path / "hub" / "key.pem")
