from __future__ import annotations

import pytest

from perijove.launcher.errors import Unenforceable
from perijove.launcher.limits import check, enforceable
from perijove.wire.launcher import Limits


@pytest.mark.parametrize("limits", [Limits(memory=1), Limits(cpu=0.5), Limits(open_files=2**40)])
def test_what_cannot_be_held_is_refused(limits: Limits) -> None:
    with pytest.raises(Unenforceable):
        check(limits, as_root=True)


def test_processes_can_be_limited_only_where_people_have_uids() -> None:
    check(Limits(processes=10), as_root=True)

    with pytest.raises(Unenforceable, match="root"):
        check(Limits(processes=10), as_root=False)


def test_no_limit_is_always_accepted() -> None:
    check(Limits(), as_root=False)

    assert "memory" not in enforceable(as_root=True)
