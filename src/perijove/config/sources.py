"""
Where configuration comes from: a Python file, `--Class.trait=value` flags, and the environment.

The only module that reads the environment, with `singleuser/environment.py`. What the names mean is
`traits.py`; whether they exist is `check.py`.
"""

from __future__ import annotations

import ast
import os
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from traitlets.config import Config
from traitlets.config.loader import DeferredConfigString

from perijove.config.errors import FileUnreadable, WrongValue

#: Read from the working directory when no file is named.
DEFAULT_FILE: Final = "perijove_config.py"
#: JupyterHub's name for the section that is ours.
ALIASES: Final[Mapping[str, str]] = {"JupyterHub": "Perijove"}


def read_file(path: Path) -> Config:
    """
    Run the Python file at *path* with `c` and `get_config` in its names.

    Raises:
        FileUnreadable: it is missing, has a syntax error, or raises; the message has file and line.
    """
    config = Config()
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise FileUnreadable(f"{path}: {exc.strerror or exc}") from exc
    namespace = {
        "c": config,
        "get_config": lambda: config,
        "__file__": str(path),
        "__name__": "__perijove_config__",
    }
    try:
        exec(compile(source, str(path), "exec"), namespace)  # noqa: S102  # a configuration file is a program
    except SyntaxError as exc:
        raise FileUnreadable(f"{path}:{exc.lineno}: {exc.msg}") from exc
    except Exception as exc:
        # Whatever the administrator's own code raises, they need its line, not ours.
        line = next((f.lineno for f in reversed(traceback.extract_tb(exc.__traceback__)) if f.filename == str(path)), 0)
        raise FileUnreadable(f"{path}:{line}: {type(exc).__name__}: {exc}") from exc
    return config


def read_flags(flags: Iterable[str]) -> Config:
    """
    Make a configuration of `--Class.trait=value` words.

    Raises:
        WrongValue: a word is not of that form.
    """
    config = Config()
    for flag in flags:
        name, separator, value = flag.removeprefix("--").partition("=")
        section, dot, trait = name.partition(".")
        if not (flag.startswith("--") and separator and dot and section.isidentifier() and trait.isidentifier()):
            raise WrongValue(f"{flag!r} is not an option; a trait is set by --Class.trait=value")
        config[section][trait] = _literal(value)
    return config


def _literal(value: str) -> object:
    try:
        parsed: object = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return DeferredConfigString(value)
    # Text that looks like a number may be meant as text: let the trait decide.
    return parsed if isinstance(parsed, list | dict | set | tuple | bool) else DeferredConfigString(value)


def merged(*configs: Config) -> Config:
    """One configuration; later ones win; `c.JupyterHub` is `c.Perijove`."""
    result = Config()
    for config in configs:
        renamed = Config()
        for section, traits in config.items():
            renamed[ALIASES.get(section, section)].merge(traits)
        result.merge(renamed)
    return result


def default_state_dir(environ: Mapping[str, str], *, uid: int) -> Path:
    """Where state is kept unless the administrator says otherwise (architecture, section 10)."""
    if uid == 0:
        return Path("/var/lib/perijove")
    base = environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path(environ.get("HOME", "/"), ".local", "state")) / "perijove"


def default_runtime_dir(environ: Mapping[str, str], *, uid: int) -> Path:
    """Where sockets are. Without `$XDG_RUNTIME_DIR` a short path of the user's own, since socket paths are short."""
    if uid == 0:
        return Path("/run/perijove")
    base = environ.get("XDG_RUNTIME_DIR", "")
    return Path(base, "perijove") if base.startswith("/") else Path("/tmp", f"perijove-{uid}")  # noqa: S108  # checked to be ours


def process_environment() -> Mapping[str, str]:
    """This process's environment."""
    return dict(os.environ)
