from __future__ import annotations

import pytest

from perijove.hub.oauth.consent import in_words
from perijove.hub.scopes.catalog import CATALOG, Definition


@pytest.mark.parametrize(
    ("scope", "only"),
    [
        ("tokens", ""),
        ("tokens!user", "your own only"),
        ("tokens!user=ada", "your own only"),
        ("tokens!user=bob", "of bob only"),
        ("access:servers!server=bob/", "the server bob only"),
        ("access:servers!server=bob/lab", "the server bob/lab only"),
        ("access:services!service=grades", "the service grades only"),
        ("read:users!group=class", "in the group class only"),
    ],
)
def test_a_scope_is_told_in_words(scope: str, only: str) -> None:
    (permission,) = in_words([scope], "ada", {})

    assert permission.scope == scope
    assert permission.text == CATALOG[scope.partition("!")[0]].description
    assert permission.only == only
    assert permission.sentence.endswith(f": {only}." if only else permission.text)


def test_a_scope_of_this_deployment_is_told_in_its_own_words() -> None:
    custom = {"custom:grades:read": Definition("Read grades.")}

    (known, gone) = in_words(["custom:grades:read!user", "custom:not:declared"], "ada", custom)

    assert known.sentence == "Read grades: your own only."
    assert gone.sentence == "custom:not:declared."
