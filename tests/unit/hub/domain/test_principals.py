from __future__ import annotations

from perijove.hub.domain.principals import Kind, Principal


def test_a_visit_is_named_by_its_session_or_by_its_token() -> None:
    """
    Revocations name it: the end of a session must not touch a token's visits.
    """
    by_session = Principal(kind=Kind.USER, name="ada", scopes=frozenset(), session_id="s1")
    by_token = Principal(kind=Kind.USER, name="ada", scopes=frozenset(), token_id="a7")

    assert (by_session.visit_id, by_token.visit_id) == ("s1", "token:a7")
