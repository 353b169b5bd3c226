from __future__ import annotations

import pytest

from perijove.launcher import app
from perijove.launcher.errors import LaunchFailed


def forbid(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    monkeypatch.setattr(app, "why_not", lambda **_: why)


def test_where_walls_are_required_and_cannot_be_there_is_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, "Operation not permitted")

    with pytest.raises(LaunchFailed, match=r"isolation is required.*Operation not permitted"):
        app.missing_walls("require", as_root=False)


def test_where_they_are_not_required_the_reason_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, "Operation not permitted")

    assert app.missing_walls("auto", as_root=False) == "Operation not permitted"


def test_what_the_kernel_lets_be_built_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, "")

    assert app.missing_walls("auto", as_root=False) == app.missing_walls("require", as_root=True) == ""


def test_switched_off_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, "was tried")

    assert "configuration" in app.missing_walls("off", as_root=True)
