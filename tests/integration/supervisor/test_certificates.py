"""
The administrator's certificate on its way to the proxy.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from perijove.supervisor.certificates import DeploymentTls, copy_certificate
from perijove.supervisor.errors import CertificateUnreadable
from perijove.supervisor.plan import Identity


@pytest.fixture
def tls(tmp_path: Path) -> DeploymentTls:
    (tmp_path / "cert").write_text("CERT")
    (tmp_path / "key").write_text("KEY")
    return DeploymentTls(cert=tmp_path / "cert", key=tmp_path / "key")


def test_certificate_and_key_become_one_private_file(tls: DeploymentTls, tmp_path: Path) -> None:
    path = tmp_path / "copy"

    copy_certificate(tls, path, None)

    assert path.read_text() == "CERT\nKEY"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


def test_whoever_reads_while_it_is_replaced_reads_one_whole_pair(tls: DeploymentTls, tmp_path: Path) -> None:
    path = tmp_path / "copy"
    copy_certificate(tls, path, None)
    with path.open() as reader:
        (tmp_path / "key").write_text("NEW")
        copy_certificate(tls, path, None)

        assert reader.read() == "CERT\nKEY"
    assert path.read_text() == "CERT\nNEW"


def test_a_link_that_was_planted_is_not_written_through(tls: DeploymentTls, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("copy", "copy.new"):
        (tmp_path / name).symlink_to(victim)

    copy_certificate(tls, tmp_path / "copy", None)

    assert victim.read_text() == "precious"
    assert not (tmp_path / "copy").is_symlink()


@pytest.mark.parametrize("missing", ["cert", "key"])
def test_what_cannot_be_read_is_named_and_the_old_copy_stays(tls: DeploymentTls, tmp_path: Path, missing: str) -> None:
    path = tmp_path / "copy"
    copy_certificate(tls, path, None)
    (tmp_path / missing).unlink()

    with pytest.raises(CertificateUnreadable, match=rf"c\.Perijove\.ssl_{missing}: .*{missing} cannot be read"):
        copy_certificate(tls, path, None)

    assert path.read_text() == "CERT\nKEY"


def test_a_folder_that_is_not_there_is_named(tls: DeploymentTls, tmp_path: Path) -> None:
    with pytest.raises(CertificateUnreadable, match="cannot be written"):
        copy_certificate(tls, tmp_path / "nowhere" / "copy", None)


def test_without_a_certificate_there_is_nothing_to_do(tmp_path: Path) -> None:
    copy_certificate(DeploymentTls(), tmp_path / "copy", None)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_copy_belongs_to_the_proxy(tls: DeploymentTls, tmp_path: Path) -> None:
    path = tmp_path / "copy"

    copy_certificate(tls, path, Identity(uid=65534, gid=65534, groups=()))

    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
