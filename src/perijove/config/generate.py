"""
The configuration as text: a commented file to start from, and what is in force.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from traitlets.config import Configurable

from perijove.config.check import Known, traits_of
from perijove.config.database import without_password

_WIDTH = 100


def generated_file(known: Known) -> str:
    """A configuration file in which every line is a comment that shows a default."""
    return "\n".join(
        ["# Configuration of perijove: Python, read at start.", "c = get_config()  # noqa", *_lines(known)]
    )


def _lines(known: Known) -> Iterator[str]:
    for section, cls in known.items():
        yield f"\n# {'-' * (_WIDTH - 2)}\n# {section}: {_first_line(cls)}\n# {'-' * (_WIDTH - 2)}"
        for name in _own_traits(cls, known):
            trait = cls.class_traits()[name]
            yield ""
            yield from textwrap.wrap(trait.help, _WIDTH, initial_indent="## ", subsequent_indent="#  ")
            yield f"# c.{section}.{name} = {trait.default_value_repr()}"


def _own_traits(cls: type[Configurable], known: Known) -> list[str]:
    inherited = {
        name
        for base in cls.__mro__[1:]
        if base in known.values() and issubclass(base, Configurable)
        for name in traits_of(base)
    }
    return [name for name in traits_of(cls) if name not in inherited]


def _first_line(cls: type[Configurable]) -> str:
    return next((line.strip() for line in (cls.__doc__ or "").splitlines() if line.strip()), "")


def effective(objects: list[Configurable]) -> dict[str, dict[str, Any]]:
    """Every configurable value in force, by class; secrets replaced."""
    return {
        type(item).__name__: {name: _shown(name, getattr(item, name)) for name in traits_of(type(item))}
        for item in objects
    }


def _shown(name: str, value: Any) -> Any:
    if any(word in name for word in ("password", "secret", "token")) and isinstance(value, str) and value:
        return "[secret]"
    if name == "keys":
        return ["[secret]" for _ in value]
    if name == "db_url":
        return without_password(value)
    if name == "services":
        return [{k: "[secret]" if k == "api_token" else v for k, v in item.items()} for item in value]
    return value


def as_text(values: dict[str, dict[str, Any]]) -> str:
    """`c.Class.trait = value` lines."""
    return "\n".join(
        f"c.{section}.{name} = {value!r}" for section, rows in values.items() for name, value in rows.items()
    )


def as_json(values: dict[str, dict[str, Any]]) -> str:
    """The same as JSON; what JSON cannot say is shown by its repr."""
    return json.dumps(values, indent=2, default=lambda v: sorted(v) if isinstance(v, set | frozenset) else repr(v))
