"""
SIGHUP of a terminal that was closed, and SIGHUP that somebody sent.
"""

from __future__ import annotations

import os
from pathlib import Path

from perijove.kit.process import is_gone


def test_a_terminal_is_gone_when_its_other_end_is_closed() -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r") as stream:
        before = is_gone(stream)
        os.close(ours)

        assert (before, is_gone(stream)) == (False, True)


def test_what_is_no_terminal_is_never_gone(tmp_path: Path) -> None:
    """
    A service has no terminal: there SIGHUP is an order.
    """
    (tmp_path / "file").touch()
    with (tmp_path / "file").open() as stream, Path("/dev/null").open() as nothing:
        assert not is_gone(stream)
        assert not is_gone(nothing)
    assert not is_gone(stream)
    assert not is_gone(None)
