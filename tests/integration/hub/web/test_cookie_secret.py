from __future__ import annotations

from pathlib import Path

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
