from __future__ import annotations

import pytest

from perijove.config.database import database_url, has_password, without_password
from perijove.config.errors import WrongValue


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("sqlite:////srv/perijove.sqlite", "sqlite:////srv/perijove.sqlite"),
        ("postgresql://hub@db/perijove", "postgresql://hub@db/perijove"),
        ("postgres://hub@db:5433/perijove?sslmode=require", "postgresql://hub@db:5433/perijove?sslmode=require"),
        ("postgresql+psycopg2://hub@db/perijove", "postgresql://hub@db/perijove"),
        ("postgresql:///perijove", "postgresql:///perijove"),
        ("postgresql:///perijove?host=/run/postgresql", "postgresql:///perijove?host=/run/postgresql"),
    ],
)
def test_sqlite_and_every_spelling_of_postgresql_are_understood(written: str, used: str) -> None:
    """
    A configuration of JupyterHub's names a driver that is not ours.
    """
    assert database_url(written) == used


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("postgresql://hub@db/perijove", "postgresql://hub:a%2Fb%40c@db/perijove"),
        ("postgresql://hub:@db/perijove", "postgresql://hub:a%2Fb%40c@db/perijove"),
        ("postgresql:///perijove", "postgresql://:a%2Fb%40c@/perijove"),
        ("postgresql://hub:own@db/perijove", "postgresql://hub:own@db/perijove"),
        ("sqlite:////srv/perijove.sqlite", "sqlite:////srv/perijove.sqlite"),
    ],
)
def test_a_password_from_outside_goes_into_a_url_that_has_none(written: str, used: str) -> None:
    assert database_url(written, password="a/b@c") == used


@pytest.mark.parametrize(
    "written",
    [
        "mysql://hub:secret@db/perijove",
        "sqlite://",
        "sqlite:///",
        "perijove.sqlite",
        "postgresql",
        "postgresql://hub:secret@db:port/perijove",
        "postgresql://hub:sec#ret@db/perijove",
    ],
)
def test_anything_else_is_refused_without_repeating_it(written: str) -> None:
    """
    There may be a password in it, and the sentence is shown and logged.
    """
    with pytest.raises(WrongValue) as refused:
        database_url(written)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("postgresql://hub:secret@db/perijove", "postgresql://hub:[secret]@db/perijove"),
        ("postgresql://hub@db/perijove", "postgresql://hub@db/perijove"),
        ("postgresql://db/perijove?password=secret", "postgresql://[secret]"),
        ("sqlite:////srv/perijove.sqlite", "sqlite:////srv/perijove.sqlite"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_its_password(written: str, shown: str) -> None:
    assert without_password(written) == shown
    assert has_password(written) == (written != shown)
