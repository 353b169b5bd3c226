"""
What a user chooses for a start: from the administrator's form or an address to options, and from options to traits.

The traits are `base.Spawner`'s; here is what their values mean (contract j, `options_form` and the like).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from traitlets import TraitError
from traitlets.config import Configurable

from perijove.kit.hooks import settled
from perijove.spawners.errors import SpawnRefused

log = structlog.get_logger(__name__)

#: what a browser sends of a checked box that has no value of its own
_CHECKED: Final = "on"


def as_sent(form: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """`passthrough`: every field is a list."""
    return {name: list(values) for name, values in form.items()}


def as_single_values(form: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """`simple`: a field with one value is that value, and a checked box is True."""
    single = {name: values[0] if len(values) == 1 else list(values) for name, values in form.items()}
    return {name: True if value == _CHECKED else value for name, value in single.items()}


#: names that `options_from_form` may have instead of a callable
NAMED: Final[Mapping[str, Callable[[Mapping[str, Sequence[Any]]], dict[str, Any]]]] = {
    "passthrough": as_sent,
    "simple": as_single_values,
}


async def options_of(spawner: Configurable, how: Any, form: Mapping[str, Sequence[Any]]) -> Mapping[str, Any]:
    """
    The options that *form* comes to.

    Raises:
        SpawnRefused: the administrator's callable does not want them.
    """
    read = NAMED.get(how, how)
    wants_spawner = "spawner" in inspect.signature(read).parameters
    try:
        options = await settled(read(as_sent(form), spawner=spawner) if wants_spawner else read(as_sent(form)))
    except (ValueError, TypeError, LookupError) as exc:
        # What they raise for a value that they do not understand; anything else is a mistake of theirs.
        raise SpawnRefused(f"Invalid user options: {exc}") from exc
    if not isinstance(options, Mapping):
        raise SpawnRefused(f"Invalid user options: {type(options).__name__} is no dictionary")
    return options


async def apply(spawner: Configurable, how: Any, options: Mapping[str, Any]) -> None:
    """
    Make *spawner* what the user's options ask for.

    Args:
        spawner: of one start.
        how: a callable that is given the spawner and the options, or a dictionary of option → trait.
        options: what the user chose.

    Raises:
        SpawnRefused: an option has a value that its trait does not take, or the callable does not want it.
    """
    if isinstance(how, Mapping):
        _set_traits(spawner, how, options)
    elif how is not None:
        try:
            await settled(how(spawner, options))
        except (ValueError, TypeError, LookupError, TraitError) as exc:
            raise SpawnRefused(f"Invalid user options: {exc}") from exc


def _set_traits(spawner: Configurable, traits: Mapping[str, str], options: Mapping[str, Any]) -> None:
    for option, value in options.items():
        trait = traits.get(option)
        if trait is None:
            log.warning("spawner.unknown_option", option=option)
            continue
        if not spawner.has_trait(trait):
            raise SpawnRefused(f"The option {option} is for {trait}, which this spawner does not have.")
        try:
            setattr(spawner, trait, value)
        except TraitError as exc:
            raise SpawnRefused(f"Invalid user options: {option}: {exc}") from exc
