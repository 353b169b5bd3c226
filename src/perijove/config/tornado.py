"""
What of JupyterHub's `tornado_settings` means something here (contract j). Pure.

There is no Tornado in the hub. What administrators used its settings for is taken over: headers of the hub's answers,
and how long a request waits for a server. Any other key is refused: it would do nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from perijove.config.errors import WrongValue

#: seconds that a start or a stop is waited for, unless configured (contract d)
SLOW_SECONDS: Final = 10.0
#: Lower-case names of what belongs to each answer by itself: how it is framed, what is in it, and who signs in by it.
OF_EACH_ANSWER: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "etag",
        "keep-alive",
        "location",
        "proxy-authenticate",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
    }
)
#: characters of all headers together: heads of answers have a bound in the proxy
MAX_HEADERS: Final = 8000
_KEYS: Final = ("headers", "slow_spawn_timeout", "slow_stop_timeout")
#: RFC 9110, section 5.6.2
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: RFC 9110, section 5.5, without what is not ASCII
_VALUE: Final = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TornadoSettings:
    """The settings that are understood."""

    #: of all answers of pages and API that do not set them themselves
    headers: Mapping[str, str] = field(default_factory=dict)
    #: seconds that a request waits for a start, and for a stop, before it is answered 202
    slow_spawn_timeout: float = SLOW_SECONDS
    slow_stop_timeout: float = SLOW_SECONDS


def read_tornado_settings(written: Mapping[str, Any]) -> TornadoSettings:
    """
    What is *written* as `tornado_settings`.

    Raises:
        WrongValue: a key is not understood, or a value cannot be.
    """
    for key in written:
        if key not in _KEYS:
            raise WrongValue(f"{key!r} means nothing here; understood are {', '.join(_KEYS)}.")
    return TornadoSettings(
        headers=_headers(written.get("headers", {})),
        slow_spawn_timeout=_seconds(written, "slow_spawn_timeout"),
        slow_stop_timeout=_seconds(written, "slow_stop_timeout"),
    )


def _headers(written: Any) -> Mapping[str, str]:
    if not isinstance(written, Mapping):
        raise WrongValue("'headers' must be a dictionary of names and values.")
    headers = {}
    for name, value in written.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise WrongValue(f"{name!r} is no name of a header.")
        if name.lower() in OF_EACH_ANSWER:
            raise WrongValue(f"the header {name} belongs to each answer by itself and cannot be set for all.")
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not _VALUE.fullmatch(text):
            raise WrongValue(f"the header {name} must be text in one line, of ASCII characters.")
        headers[name] = text
    if len({name.lower() for name in headers}) < len(headers):
        raise WrongValue("'headers' names one of them twice, in upper and lower case.")
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_HEADERS:
        raise WrongValue(f"'headers' are more than {MAX_HEADERS} characters.")
    return headers


def _seconds(written: Mapping[str, Any], key: str) -> float:
    value = written.get(key, SLOW_SECONDS)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise WrongValue(f"{key!r} must be a number of seconds, not below 0.")
    return float(value)
