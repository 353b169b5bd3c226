from __future__ import annotations

from typing import Any

import pytest

from perijove.proxy.core import haproxy_verdicts
from perijove.proxy.core.haproxy_routes import audience_tag
from perijove.proxy.core.haproxy_verdicts import VerdictChanges, Verdicts
from perijove.wire.control import Revocation
from perijove.wire.identity import IdentityClaims

KEY = f"t|{audience_tag('ada/')}"


def claims(**changes: Any) -> IdentityClaims:
    known: dict[str, Any] = {
        "sub": "ada", "sid": "s1", "aud": "ada/", "scope": (), "name": "Ada", "iat": 10, "exp": 1000, "jti": "j",
    } | changes  # fmt: skip
    return IdentityClaims(**known)


def told(verdicts: Verdicts) -> VerdictChanges:
    return verdicts.take_changes()


def changes(*gone: str, renewed: dict[str, int] | None = None, new: dict[str, int] | None = None) -> VerdictChanges:
    return VerdictChanges(gone=list(gone), renewed=renewed or {}, new=new or {})


def test_a_verdict_is_told_once_and_renewed_in_place() -> None:
    """
    A key that were added twice would keep its first value.
    """
    verdicts = Verdicts(lifetime=60)
    verdicts.learn(identity="t", claims=claims(), now=100.0)
    first = told(verdicts)
    verdicts.learn(identity="t", claims=claims(), now=100.0)
    again = told(verdicts)
    verdicts.learn(identity="t", claims=claims(), now=150.0)
    later = told(verdicts)

    assert (first, again, later) == (changes(new={KEY: 160}), changes(), changes(renewed={KEY: 210}))


def test_it_is_believed_no_longer_than_the_statement() -> None:
    verdicts = Verdicts(lifetime=60)
    verdicts.learn(identity="t", claims=claims(exp=130), now=100.0)
    verdicts.learn(identity="u", claims=claims(exp=100), now=100.0)

    assert told(verdicts) == changes(new={KEY: 130})


@pytest.mark.parametrize("identity", ["", "a b", "a;b", "a\nb", "a|b", "x" * 8193])
def test_what_is_no_statement_is_not_told(identity: str) -> None:
    verdicts = Verdicts()
    verdicts.learn(identity=identity, claims=claims(), now=100.0)

    assert verdicts.is_settled


def test_there_is_room_for_so_many() -> None:
    verdicts = Verdicts(limit=1)
    for identity in ("t", "u"):
        verdicts.learn(identity=identity, claims=claims(), now=100.0)

    assert len(verdicts) == 1


def test_what_has_run_out_is_taken_back() -> None:
    verdicts = Verdicts(lifetime=60)
    verdicts.learn(identity="t", claims=claims(), now=100.0)
    told(verdicts)
    verdicts.expire(now=159.0)
    early = told(verdicts)
    verdicts.expire(now=160.0)

    assert (early, told(verdicts)) == (changes(), changes(KEY))


@pytest.mark.parametrize(
    ("revocation", "is_named"),
    [
        (Revocation(before=10, sid="s1"), True), (Revocation(before=10, user="ada"), True),
        (Revocation(before=10, user="ada", audience="ada/"), True), (Revocation(before=9, sid="s1"), False),
        (Revocation(before=10, sid="s2"), False), (Revocation(before=10, user="eve"), False),
        (Revocation(before=10, user="ada", audience="ada/lab"), False),
    ],
)  # fmt: skip
def test_a_revocation_takes_back_what_it_names_and_says_where(revocation: Revocation, *, is_named: bool) -> None:
    verdicts = Verdicts()
    verdicts.learn(identity="t", claims=claims(), now=100.0)
    told(verdicts)

    assert verdicts.revoke(revocation) == ({"ada/"} if is_named else set())
    assert told(verdicts) == (changes(KEY) if is_named else changes())


def test_a_revocation_overtakes_a_verdict_that_is_on_its_way() -> None:
    verdicts = Verdicts()
    verdicts.learn(identity="t", claims=claims(), now=100.0)
    verdicts.revoke(Revocation(before=10, sid="s1"))

    assert verdicts.is_settled
    assert told(verdicts) == changes()


def test_what_may_still_be_open_is_found_long_after_its_verdict() -> None:
    """
    A download lasts longer than a verdict is believed.
    """
    verdicts = Verdicts(lifetime=60)
    verdicts.learn(identity="t", claims=claims(), now=100.0)
    verdicts.expire(now=500.0)

    assert verdicts.revoke(Revocation(before=10, sid="s1")) == {"ada/"}
    assert verdicts.revoke(Revocation(before=10, sid="s1")) == set()


def test_the_oldest_visit_of_a_session_counts() -> None:
    verdicts = Verdicts()
    verdicts.learn(identity="t", claims=claims(iat=10), now=100.0)
    verdicts.learn(identity="u", claims=claims(iat=50), now=100.0)

    assert verdicts.revoke(Revocation(before=20, sid="s1")) == {"ada/"}


def test_visits_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy_verdicts, "MAX_VISITS", 1)
    verdicts = Verdicts()
    verdicts.learn(identity="t", claims=claims(), now=100.0)
    verdicts.learn(identity="u", claims=claims(sid="s2"), now=100.0)

    assert verdicts.revoke(Revocation(before=10, user="ada")) == {"ada/"}
    assert len(verdicts) == 0


def test_with_new_keys_everything_is_taken_back() -> None:
    verdicts = Verdicts()
    verdicts.learn(identity="t", claims=claims(), now=100.0)
    told(verdicts)
    verdicts.clear()

    assert told(verdicts) == changes(KEY)


def test_taken_back_and_let_in_again_is_a_change_of_what_is_there() -> None:
    verdicts = Verdicts(lifetime=60)
    verdicts.learn(identity="t", claims=claims(), now=100.0)
    told(verdicts)
    verdicts.clear()
    verdicts.learn(identity="t", claims=claims(), now=110.0)

    assert told(verdicts) == changes(renewed={KEY: 170})


def test_a_haproxy_that_is_new_has_been_told_nothing() -> None:
    verdicts = Verdicts()
    verdicts.learn(identity="t", claims=claims(), now=100.0)
    told(verdicts)
    verdicts.clear()
    verdicts.learn(identity="u", claims=claims(), now=100.0)
    verdicts.restart()

    assert verdicts.is_settled
    assert len(verdicts) == 0
