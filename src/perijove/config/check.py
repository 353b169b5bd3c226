"""
Refuses names that do not exist and values that cannot be, and says what was probably meant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from traitlets import TraitError
from traitlets.config import Config, Configurable

from perijove.config.errors import UnknownName, WrongValue
from perijove.config.sources import ALIASES

Known = Mapping[str, type[Configurable]]
T = TypeVar("T", bound=Configurable)


def traits_of(cls: type[Configurable]) -> Sequence[str]:
    """Names that may be configured on *cls*, inherited ones included."""
    return sorted(cls.class_trait_names(config=True))


def check_names(config: Config, known: Known, *, file: Path | None) -> None:
    """
    Every section is a known class and every key one of its traits.

    Args:
        config: what was read; aliases already merged.
        known: class name → class.
        file: where it was read from, for the message.

    Raises:
        UnknownName: naming the place, the name, and the nearest known one.
    """
    for section, values in config.items():
        if section not in known:
            nearest = [f"c.{match}" for match in difflib.get_close_matches(section, [*known, *ALIASES], 1)]
            raise UnknownName(_sentence(file, section, "", nearest))
        names = traits_of(known[section])
        for name in values:
            if name not in names:
                nearest = [f"c.{section}.{match}" for match in difflib.get_close_matches(name, names, 1)]
                raise UnknownName(_sentence(file, section, name, nearest or _elsewhere(name, known)))


def _elsewhere(name: str, known: Known) -> list[str]:
    return [f"c.{section}.{name}" for section, cls in known.items() if name in traits_of(cls)][:1]


def _sentence(file: Path | None, section: str, name: str, nearest: list[str]) -> str:
    what = f"c.{section}.{name}" if name else f"c.{section}"
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return f"{place(file, section, name)}there is no {what}.{hint}"


def place(file: Path | None, section: str, name: str) -> str:
    """`file:line: ` of where *name* is set, the file alone if that is not to be seen, nothing without a file."""
    if file is None:
        return ""
    sections = [section, *(alias for alias, real in ALIASES.items() if real == section)]
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, sections))})\.{re.escape(name)}")
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if pattern.search(line.partition("#")[0]):
            return f"{file}:{number}: "
    return f"{file}: "


def build(cls: type[T], config: Config, *, file: Path | None, **parts: Any) -> T:
    """
    *cls* with its traits from *config*; *parts* are its other arguments.

    Raises:
        WrongValue: a value has the wrong type or is out of bounds; names file, line and trait.
    """
    try:
        return cls(config=config, **parts)
    except TraitError as exc:
        match = re.search(r"'?(\w+)'? trait", str(exc))
        name = match.group(1) if match else ""
        section = next((c.__name__ for c in cls.__mro__ if name in config.get(c.__name__, {})), cls.__name__)
        raise WrongValue(f"{place(file, section, name)}c.{section}.{name}: {exc}") from exc
