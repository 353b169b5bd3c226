"""
What a sign-in method tells of a person for others to see (contract d, `user_info`): how they are called, a picture,
a colour. Pure.

All of it is in the API's model of the user. The members that Jupyter knows are in the identity token as well (`shown`),
so each of them is bounded: a browser keeps no cookie of more than 4096 bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.users import User

#: of all of it, as JSON in UTF-8: a page of the API has hundreds of people
MAX_BYTES: Final = 4096
#: of what is shown, in characters of JSON as it is in the token
MAX_NAME: Final = 480
MAX_INITIALS: Final = 8
MAX_AVATAR_URL: Final = 1024

# What a page of JupyterLab may load or write into a style without doing anything else.
_AVATAR_URL: Final = re.compile(r"(https?://[!-~]+|/(?!/)[!-~]*|data:image/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=]+)")
_COLOR: Final = re.compile(r"[#(),.%/ A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How a person is shown in JupyterLab; what is empty is not known."""

    name: str
    initials: str = ""
    avatar_url: str = ""
    color: str = ""


def read_user_info(told: Any) -> Mapping[str, Any]:
    """
    *told*, if it can be kept.

    Raises:
        InvalidRequest: it is no dictionary, not what JSON can say, or too long.
    """
    if not isinstance(told, Mapping) or not all(isinstance(key, str) for key in told):
        raise InvalidRequest("It is no dictionary with names as its keys.")
    try:
        text = json.dumps(dict(told), allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidRequest("It has something that JSON cannot say.") from exc
    if size > MAX_BYTES:
        raise InvalidRequest(f"It is {size} bytes long; {MAX_BYTES} are kept.")
    kept: Mapping[str, Any] = json.loads(text)
    return kept


def shown(user: User) -> Shown:
    """How *user* is to be shown: what cannot be shown is left out, what is too long is cut off."""
    info = user.user_info or {}
    url, color = _text(info, "avatar_url"), _text(info, "color")
    return Shown(
        name=_cut(_text(info, "display_name") or _text(info, "name") or _line(user.display_name)) or user.name,
        initials=_text(info, "initials")[:MAX_INITIALS],
        avatar_url=url if len(url) <= MAX_AVATAR_URL and _AVATAR_URL.fullmatch(url) else "",
        color=color if _COLOR.fullmatch(color) else "",
    )


def _text(info: Mapping[str, Any], name: str) -> str:
    value = info.get(name)
    return _line(value) if isinstance(value, str) else ""


def _line(text: str) -> str:
    """*text* as one line, without what cannot be seen."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def _cut(text: str) -> str:
    """As much of *text* as `MAX_NAME` allows; what is not ASCII takes six characters or twelve in the token."""
    size = 0
    for place, character in enumerate(text):
        size += len(json.dumps(character)) - 2
        if size > MAX_NAME:
            return text[:place]
    return text
