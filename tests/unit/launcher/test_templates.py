from __future__ import annotations

from perijove.launcher.templates import clean_environment


def test_a_template_gets_nothing_that_it_does_not_need() -> None:
    """
    Whatever is in it would be in every user's server.
    """
    clean = clean_environment(
        {"CONFIGPROXY_AUTH_TOKEN": "x", "HOME": "/root", "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": "/src"}
    )

    assert clean["PYTHONPATH"] == "/src"
    assert clean["HOME"] == "/nonexistent"
    assert "x" not in clean.values()
