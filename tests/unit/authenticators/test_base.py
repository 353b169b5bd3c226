from __future__ import annotations

import pytest
from traitlets import TraitError
from traitlets.config import Config

from perijove.authenticators.base import Authenticator


def test_nobody_is_allowed_unless_something_says_so() -> None:
    authenticator = Authenticator()

    assert not authenticator.is_allowed("ada", exists=True)
    assert not authenticator.lets_somebody_in


@pytest.mark.parametrize(
    "rule", [{"allow_all": True}, {"allowed_users": {"ada"}}, {"admin_users": {"ada"}}, {"allow_existing_users": True}]
)
def test_each_allow_rule_admits_by_itself(rule: dict[str, object]) -> None:
    authenticator = Authenticator(**rule)

    assert authenticator.is_allowed("ada", exists=True)
    assert authenticator.lets_somebody_in


def test_a_list_of_names_admits_existing_users_too() -> None:
    """
    As in JupyterHub: who was added by an administrator later need not be listed in the file.
    """
    authenticator = Authenticator(allowed_users={"ada"})

    assert authenticator.is_allowed("bob", exists=True)
    assert not authenticator.is_allowed("eve", exists=False)


def test_names_in_rules_are_normalised_like_names_of_people() -> None:
    authenticator = Authenticator(
        config=Config({"Authenticator": {"allowed_users": {"Ada"}, "blocked_users": {"EVE"}}})
    )

    assert authenticator.is_allowed("ada", exists=False)
    assert authenticator.is_blocked("eve")


def test_names_are_mapped_after_lower_casing() -> None:
    authenticator = Authenticator(username_map={"ada.l": "ada"})

    assert authenticator.normalize_username(" Ada.L ") == "ada"


def test_the_pattern_must_match_the_whole_name() -> None:
    authenticator = Authenticator(username_pattern="[a-z]+")

    assert authenticator.is_valid("ada")
    assert not authenticator.is_valid("ada1")


def test_a_pattern_that_is_none_is_refused_at_once() -> None:
    with pytest.raises((TraitError, Exception), match="unterminated"):
        Authenticator(username_pattern="[a-z")
