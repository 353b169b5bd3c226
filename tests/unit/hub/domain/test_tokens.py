from __future__ import annotations

from datetime import UTC, datetime

from perijove.hub.domain.tokens import ApiToken, with_duties


def test_a_token_is_shown_by_its_number_and_never_by_its_text() -> None:
    token = ApiToken(
        id=12,
        user_id=1,
        prefix="abcdefgh",
        token_hash="0" * 64,
        scopes=("inherit",),
        note="",
        created=datetime(2026, 1, 2, tzinfo=UTC),
    )

    assert token.public_id == "a12"


def test_no_scopes_are_too_few_for_a_server_to_do_its_duties() -> None:
    duties = with_duties(())

    assert "users:activity!user" in duties
    assert with_duties(("tokens", *duties)) == ("tokens", *duties)
