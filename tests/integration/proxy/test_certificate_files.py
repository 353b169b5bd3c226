"""
Certificates and keys from files: what is good, and what is said about what is not.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perijove.proxy.net.tls import (
    CertificateFiles,
    CertificateStore,
    ClientTls,
    OutgoingTls,
    ServerTls,
    UnusableTls,
    names_in,
    readable_by_others,
)
from tests.support.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_an_encrypted_key_is_opened_with_its_passphrase(authority: Authority) -> None:
    files = authority.issue("a.org")
    authority.encrypt(files, b"secret")

    assert CertificateStore(ServerTls(certificates=[files], passphrase="secret")).has_certificate


@pytest.mark.parametrize("passphrase", ["", "wrong"])
def test_without_it_nobody_is_asked_at_the_terminal(authority: Authority, passphrase: str) -> None:
    files = authority.issue("a.org")
    authority.encrypt(files, b"secret")

    with pytest.raises(UnusableTls, match="passphrase does not fit"):
        CertificateStore(ServerTls(certificates=[files], passphrase=passphrase))


def test_certificate_and_key_may_be_one_file(authority: Authority) -> None:
    files = authority.issue("a.org", "*.b.org")
    files.cert.write_bytes(files.cert.read_bytes() + files.key.read_bytes())
    one = CertificateFiles(cert=files.cert, key=files.cert)

    assert CertificateStore(ServerTls(certificates=[one])).has_certificate
    assert names_in(files.cert) == ("a.org", "*.b.org")


def test_what_cannot_be_used_is_said_in_words(authority: Authority, tmp_path: Path) -> None:
    good, other, garbage = authority.issue("a.org"), authority.issue("b.org"), tmp_path / "garbage"
    garbage.write_text("no certificate\n")
    cases = [
        (CertificateFiles(cert=tmp_path / "nowhere", key=good.key), "nowhere: there is no such file"),
        (CertificateFiles(cert=good.cert, key=tmp_path / "nowhere"), "nowhere: there is no such file"),
        (CertificateFiles(cert=good.cert, key=other.key), "does not belong to the certificate"),
        (CertificateFiles(cert=garbage, key=good.key), "PEM|no certificate"),
        (CertificateFiles(cert=good.cert, key=garbage), "PEM|no certificate"),
    ]
    for files, message in cases:
        with pytest.raises(UnusableTls, match=message):
            CertificateStore(ServerTls(certificates=[files]))


def test_authorities_and_ciphers_that_cannot_be_used_stop_the_start(authority: Authority, tmp_path: Path) -> None:
    files = authority.issue("a.org")
    for settings, message in (
        (ServerTls(certificates=[files], ciphers="NONSENSE"), "No cipher suite"),
        (ServerTls(certificates=[files], client_ca=tmp_path / "nowhere"), "nowhere"),
    ):
        with pytest.raises(UnusableTls, match=message):
            CertificateStore(settings)
    with pytest.raises(UnusableTls, match="nowhere"):
        OutgoingTls(ClientTls(ca=tmp_path / "nowhere"))


def test_a_certificate_that_is_still_obtained_may_be_missing(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "later.pem"
    settings = ServerTls(certificates=[CertificateFiles(cert=path, key=path, may_be_missing=True)])
    store = CertificateStore(settings)
    was_there = store.has_certificate
    still_good = store.reload(settings)
    files = authority.issue("a.org")
    path.write_bytes(files.cert.read_bytes() + files.key.read_bytes())

    assert (was_there, still_good) == (False, True)
    assert store.reload(settings)
    assert store.has_certificate


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_key_that_everybody_may_read_is_noticed(authority: Authority, *, mode: int, warns: bool) -> None:
    files = authority.issue("a.org")
    os.chmod(files.key, mode)  # noqa: PTH101  # exactly this

    assert readable_by_others(files) is warns


def test_a_client_context_that_breaks_stays_as_it_was(authority: Authority) -> None:
    files = authority.issue("proxy")
    settings = ClientTls(certificate=files, ca=authority.path)
    outgoing = OutgoingTls(settings)
    before = outgoing.context
    files.key.unlink()

    assert not outgoing.reload(settings)
    assert outgoing.context is before


def test_settings_that_are_no_good_leave_all_as_it_was(authority: Authority) -> None:
    files = authority.issue("a.org")
    store = CertificateStore(ServerTls(certificates=[files]))
    before = store.context

    assert not store.reload(ServerTls(certificates=[authority.issue("b.org")], ciphers="NONSENSE"))
    assert store.context is before


def test_certificates_may_be_added_and_taken_away(authority: Authority) -> None:
    first, second = authority.issue("a.org"), authority.issue("b.org")
    store = CertificateStore(ServerTls(certificates=[first]))

    assert store.reload(ServerTls(certificates=[second]))
    assert set(store._loaded) == {second}


def test_files_of_which_nothing_good_is_known_change_nothing(authority: Authority, tmp_path: Path) -> None:
    """
    A wrong path in new settings must not leave the port without a certificate.
    """
    good, nowhere = authority.issue("a.org"), CertificateFiles(cert=tmp_path / "no", key=tmp_path / "no")
    store = CertificateStore(ServerTls(certificates=[good]))
    before = store.context

    assert not store.reload(ServerTls(certificates=[nowhere]))
    assert not store.reload(ServerTls(certificates=[good, nowhere]))
    assert store.context is before
    assert set(store._loaded) == {good}


def test_one_broken_pair_does_not_keep_the_others_old(authority: Authority) -> None:
    """
    Renewals of one name must not wait for the mistake at another.
    """
    first, second = authority.issue("a.org"), authority.issue("b.org")
    settings = ServerTls(certificates=[first, second])
    store = CertificateStore(settings)
    before = dict(store._loaded)
    first.cert.write_text("spilt coffee")

    assert not store.reload(settings)
    assert store._loaded[first] is before[first]
    assert store._loaded[second] is not before[second]
