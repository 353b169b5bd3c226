"""
Traits by group: what `Spawner.group_overrides` means (contract j), and limits that contradict each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from traitlets import TraitError
from traitlets.config import Configurable

from perijove.kit.hooks import settled
from perijove.kit.sizes import amount
from perijove.spawners.errors import SpawnRefused

#: guarantee → limit
_PAIRS: Final = {"mem_guarantee": "mem_limit", "cpu_guarantee": "cpu_limit"}


def contradictions(spawner: Configurable) -> Mapping[str, str]:
    """Guarantees that are more than the limit, and amounts that leave nothing."""
    wrong = {}
    for least, most in _PAIRS.items():
        guarantee, limit = getattr(spawner, least), getattr(spawner, most)
        if guarantee is not None and limit is not None and guarantee > limit:
            wrong[least] = f"{shown(least, guarantee)} is more than {most} allows, which is {shown(most, limit)}"
        if limit is not None and limit <= 0:
            wrong[most] = "a server cannot start with nothing; None is no limit"
        if guarantee is not None and guarantee < 0:
            wrong[least] = "a guarantee cannot be less than nothing"
    return wrong


def shown(trait: str, value: float) -> str:
    """A limit for people."""
    return amount(int(value)) if trait.startswith("mem_") else f"{value:g}"


def mistakes(spawner: Configurable, how: Any) -> Mapping[str, str]:
    """What is wrong with *how*, under the trait's name; what a callable answers is only known later."""
    if callable(how):
        return {}
    try:
        for _ in _entries(spawner, how):
            pass
    except ValueError as exc:
        return {"group_overrides": str(exc)}
    return {}


async def apply(spawner: Configurable, how: Any, groups: Collection[str]) -> None:
    """
    Make *spawner* what the groups of its user ask for, in the order of the keys.

    Args:
        spawner: of one start.
        how: the value of `group_overrides`.
        groups: names of the user's groups.

    Raises:
        SpawnRefused: the value, or what a callable answers, is wrong.
    """
    answer = await settled(how(spawner)) if callable(how) else how
    try:
        for key, wanted, traits in _entries(spawner, answer or {}):
            if not wanted.isdisjoint(groups):
                for name, value in traits.items():
                    await _override(spawner, key, name, value)
    except ValueError as exc:
        raise SpawnRefused(f"c.Spawner.group_overrides: {exc}") from exc


def is_overridden(how: Any, trait: str) -> bool:
    """Whether some group has its own value of *trait*; what a callable answers is only known later."""
    if callable(how):
        return False
    return any(entry["spawner_override"].get(trait) is not None for entry in how.values())


def _entries(
    spawner: Configurable, overrides: Mapping[str, Any]
) -> Iterator[tuple[str, frozenset[str], Mapping[str, Any]]]:
    for key in sorted(overrides):
        entry = overrides[key]
        if not isinstance(entry, Mapping) or set(entry) != {"groups", "spawner_override"}:
            raise ValueError(f"{key!r} must have 'groups' and 'spawner_override', and nothing else")
        groups, traits = entry["groups"], entry["spawner_override"]
        if isinstance(groups, str) or not all(isinstance(group, str) for group in groups):
            raise ValueError(f"{key!r}: 'groups' must be a list of names")
        if not isinstance(traits, Mapping):
            raise ValueError(f"{key!r}: 'spawner_override' must be a dictionary")  # noqa: TRY004  # as all others here
        for name in traits:
            if name not in spawner.class_trait_names(config=True):
                raise ValueError(f"{key!r}: there is no trait {name!r}")
        yield key, frozenset(groups), traits


async def _override(spawner: Configurable, key: str, name: str, value: Any) -> None:
    """Set a trait, or what a callable answers for it; dictionaries are merged into what is there."""
    if callable(value):
        value = await settled(value(spawner))
    present = getattr(spawner, name)
    if isinstance(present, Mapping) and isinstance(value, Mapping):
        value = {**present, **value}
    try:
        setattr(spawner, name, value)
    except TraitError as exc:
        raise ValueError(f"{key!r}: {exc}") from exc
