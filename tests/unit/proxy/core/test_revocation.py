from __future__ import annotations

from dataclasses import replace

import pytest

from perijove.proxy.core.revocation import RevocationList, names
from perijove.wire.control import Revocation
from perijove.wire.identity import IdentityClaims

CLAIMS = IdentityClaims(sub="ada", sid="s1", aud="ada/", scope=("read",), name="Ada", iat=100, exp=1000, jti="j")


@pytest.mark.parametrize(
    ("revocation", "refused"),
    [
        (Revocation(before=100, sid="s1"), True),
        (Revocation(before=99, sid="s1"), False),
        (Revocation(before=100, sid="s2"), False),
        (Revocation(before=100, user="ada"), True),
        (Revocation(before=100, user="s1"), False),
        (Revocation(before=100, sid="s1", audience="ada/"), True),
        (Revocation(before=100, sid="s1", audience="ada/lab"), False),
        (Revocation(before=100, user="ada", audience="ada/"), True),
    ],
)
def test_a_revocation_names_whom_and_until_when(revocation: Revocation, refused: bool) -> None:  # noqa: FBT001  # parameter
    known = RevocationList()
    known.add(revocation)

    assert known.refuses(CLAIMS) is refused
    assert names(revocation, CLAIMS) is refused


def test_nothing_is_refused_without_revocations_or_claims() -> None:
    assert not RevocationList().refuses(CLAIMS)
    assert not names(Revocation(before=100, user="ada"), None)


def test_an_earlier_moment_does_not_undo_a_later_one() -> None:
    known = RevocationList()
    known.add(Revocation(before=100, sid="s1"))
    known.add(Revocation(before=50, sid="s1"))

    assert known.refuses(CLAIMS)
    assert len(known) == 1


def test_who_signs_in_anew_is_let_in() -> None:
    known = RevocationList()
    known.add(Revocation(before=100, user="ada"))

    assert not known.refuses(replace(CLAIMS, iat=101))


def test_the_oldest_is_forgotten_first() -> None:
    known = RevocationList(limit=2)
    for sid in ("s1", "s2", "s3"):
        known.add(Revocation(before=100, sid=sid))

    assert [revocation.sid for revocation in known] == ["s2", "s3"]


def test_the_list_gives_back_what_was_put_in() -> None:
    revocations = [Revocation(before=1, sid="s1", audience="ada/"), Revocation(before=2, user="eve")]
    known = RevocationList()
    for revocation in revocations:
        known.add(revocation)

    assert list(known) == revocations
