"""
What can be wrong with a configuration.

    ConfigError
    ├── FileUnreadable     the file is missing, or Python refuses it
    ├── UnknownName        a class or trait that does not exist; names the nearest one that does
    └── WrongValue         a value of the wrong type, or one that cannot be
"""

from __future__ import annotations


class ConfigError(Exception):
    """The configuration is not usable."""


class FileUnreadable(ConfigError):
    """The configuration file cannot be read."""


class UnknownName(ConfigError):
    """The configuration names something that does not exist."""


class WrongValue(ConfigError):
    """The configuration has a value that cannot be."""
