"""
Log handlers in a configuration: objects that are what they are, and cannot be copied as other values are.
"""

from __future__ import annotations

from logging import Handler
from typing import Any, Final

from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue

#: the traits that have them: section, name
TRAITS: Final = (("Perijove", "extra_log_handlers"), ("EventLogger", "handlers"))


class Uncopied(list[Any]):
    """A list that is its own copy: traitlets copies what it reads, and the lock in a handler has no copy."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Uncopied:
        """Itself."""
        return self


def keep_handlers(config: Config) -> None:
    """Have the handlers in *config*, whose aliases are merged already, survive being read into traits."""
    for section_name, name in TRAITS:
        section = config.get(section_name, {})
        written = section.get(name)
        if isinstance(written, LazyConfigValue):
            # `c.Perijove.extra_log_handlers.append(…)`
            written = written.get_value([])
        if isinstance(written, list):
            section[name] = Uncopied(written)


def are_handlers(value: Any) -> bool:
    """Whether *value* is a list of nothing but log handlers, one at least."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, Handler) for item in value)
