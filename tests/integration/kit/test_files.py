from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from perijove.kit.files import replace_secret


def test_secrets_are_private_and_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "key"
    before = os.umask(0)
    try:
        replace_secret(path, b"one")
        descriptor = os.open(path, os.O_RDONLY)
        replace_secret(path, b"two")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"two"
    assert os.read(descriptor, 9) == b"one"
    os.close(descriptor)
    assert list(tmp_path.iterdir()) == [path]


def test_an_old_draft_with_other_rights_is_not_written_into(tmp_path: Path) -> None:
    """
    Nor a link in its place followed.
    """
    target = tmp_path / "elsewhere"
    target.write_text("kept")
    (tmp_path / "key.new").symlink_to(target)

    replace_secret(tmp_path / "key", b"secret")

    assert target.read_text() == "kept"
    assert (tmp_path / "key").read_bytes() == b"secret"


def test_who_may_read_it_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "key"
    replace_secret(path, b"secret", mode=0o400, owner=(os.getuid(), os.getgid()))

    assert stat.S_IMODE(path.stat().st_mode) == 0o400


def test_what_cannot_be_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "key"
    replace_secret(path, b"one")
    (tmp_path / "key.new").mkdir()

    with pytest.raises(OSError, match=r"key\.new"):
        replace_secret(path, b"two")

    assert path.read_bytes() == b"one"
