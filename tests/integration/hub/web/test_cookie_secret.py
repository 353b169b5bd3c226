from __future__ import annotations

import os
from pathlib import Path

import pytest

from perijove.hub.web.cookie_secret import SECRET_BYTES, load_cookie_secret


def test_the_secret_is_made_once_and_for_the_hub_alone(tmp_path: Path) -> None:
    path = tmp_path / "hub" / "cookie-secret"

    first, second = load_cookie_secret(path), load_cookie_secret(path)

    assert first == second
    assert len(first) == SECRET_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["cookie-secret"]


def test_a_secret_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "cookie-secret"
    path.write_bytes(b"abc")

    assert len(load_cookie_secret(path)) == SECRET_BYTES
    assert path.stat().st_mode & 0o777 == 0o600


def test_of_hubs_that_start_at_once_one_secret_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Otherwise the forms of one would be refused by the other.
    """
    path = tmp_path / "cookie-secret"
    link = os.link

    def link_late(made: Path, wanted: Path) -> None:
        wanted.write_bytes(b"x" * SECRET_BYTES)
        link(made, wanted)

    monkeypatch.setattr(os, "link", link_late)

    assert load_cookie_secret(path) == b"x" * SECRET_BYTES
    assert [entry.name for entry in tmp_path.iterdir()] == ["cookie-secret"]
