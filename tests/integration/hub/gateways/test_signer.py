from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from perijove.hub.gateways.signer import FileSigner, SigningKeyUnusable, read_keys, write_keys
from perijove.hub.usecases.testing import FakeSigner
from perijove.kit.jws import SignatureError, SigningKey, Verifier

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


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_a_key_is_told_before_it_signs_and_believed_after_it_has_signed(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    signer = FileSigner.open(path)
    (old,), new = read_keys(path), SigningKey.generate()
    before = signer.sign(CLAIMS)

    write_keys(path, [old, new])
    assert signer.look()
    assert (kid_of(signer.sign(CLAIMS)), len(signer.public_jwks)) == (old.kid, 2)
    write_keys(path, [new, old])
    assert not signer.look()
    after = signer.sign(CLAIMS)

    assert kid_of(after) == new.kid
    verifier = Verifier(signer.public_jwks)
    for token in (before, after):
        assert verifier.verify(token, audience="ada/", now=NOW)["sub"] == "ada"
    write_keys(path, [new])
    assert signer.look()
    with pytest.raises(SignatureError):
        Verifier(signer.public_jwks).verify(before, audience="ada/", now=NOW)


def test_a_key_that_nobody_was_told_of_waits_for_one_more_look(tmp_path: Path) -> None:
    """
    Whoever adds a key and has it sign at once must not turn everybody away until the proxies have heard.
    """
    path = tmp_path / "key.pem"
    signer = FileSigner.open(path)
    (old,), new = read_keys(path), SigningKey.generate()

    write_keys(path, [new, old])
    assert signer.look()
    assert kid_of(signer.sign(CLAIMS)) == old.kid
    assert not signer.look()
    assert kid_of(signer.sign(CLAIMS)) == new.kid


def test_a_file_that_is_damaged_while_the_hub_runs_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    signer = FileSigner.open(path)
    before = kid_of(signer.sign(CLAIMS))

    path.write_text("no key")
    assert not signer.look()
    path.unlink()
    assert not signer.look()

    assert kid_of(signer.sign(CLAIMS)) == before


def test_written_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"

    write_keys(path, [SigningKey.generate(), SigningKey.generate()])

    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(SigningKeyUnusable, match="cannot be written"):
        write_keys(tmp_path / "none" / "key.pem", [])
