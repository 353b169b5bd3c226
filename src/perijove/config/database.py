"""
The database's URL: what may stand there, and how it is shown without its password.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from perijove.config.crypt_keys import CRYPT_KEY_VARIABLE
from perijove.config.errors import WrongValue

#: Holds the password of a database server, so that the configuration file need not.
PASSWORD_VARIABLE: Final = "PERIJOVE_DB_PASSWORD"  # noqa: S105  # a name, no secret
#: What only the hub is given of the environment: the keys of auth states, ours of the
#: database, and the one that PostgreSQL's own library reads.
SECRET_VARIABLES: Final = (PASSWORD_VARIABLE, "PGPASSWORD", CRYPT_KEY_VARIABLE)
_POSTGRESQL: Final = ("postgresql", "postgres")
_FORMS: Final = "sqlite:////folder/file.sqlite or postgresql://user@host/database"


def database_url(text: str, *, password: str = "") -> str:
    """
    *text* as the hub gets it: PostgreSQL with one spelling and no driver, and *password* if it states none.

    Raises:
        WrongValue: it is no URL of a database that perijove can be kept in. The sentence does not repeat it.
    """
    scheme = text.partition(":")[0].partition("+")[0].lower()
    if scheme == "sqlite" and text.startswith("sqlite:///") and text != "sqlite:///":
        return text
    if scheme not in _POSTGRESQL or "://" not in text:
        raise WrongValue(f"the database is kept in SQLite or PostgreSQL: {_FORMS}")
    parts = _split(text)
    if not parts.password and password:
        user, at, place = parts.netloc.rpartition("@")
        parts = parts._replace(netloc=f"{user.rstrip(':') if at else ''}:{quote(password, safe='')}@{place}")
    # Not by `geturl`: without a host, it would leave out the two slashes.
    return f"postgresql://{parts.netloc}{parts.path}{'?' if parts.query else ''}{parts.query}"


def has_password(text: str) -> bool:
    """Whether a URL has a password in it."""
    return bool(urlsplit(text).password) or "password=" in urlsplit(text).query


def without_password(text: str) -> str:
    """A URL as it may be shown."""
    parts = urlsplit(text)
    if "password=" in parts.query:
        return f"{parts.scheme}://[secret]"
    if not parts.password:
        return text
    user, _, place = parts.netloc.rpartition("@")
    return text.replace(parts.netloc, f"{user.partition(':')[0]}:[secret]@{place}", 1)


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise WrongValue(f"this is no URL of a database: {_FORMS}") from None
    if parts.fragment:
        raise WrongValue("a # in a user name or password is written %23")
    return parts
