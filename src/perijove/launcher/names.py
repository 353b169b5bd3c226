"""
From names that people chose to names that a system accepts. Pure: same name in, same name out.

Law: two different names never map to one. A name that already looks like a mapped one (it ends
in a dash and hex digits) is mapped too, so that nobody can sign up as somebody's mapped name. Hashes are long
enough (64 bits) that nobody finds a name with the hash of somebody else's.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from pathlib import Path
from typing import Final

#: What `useradd` accepts everywhere; longer names do not fit utmp.
MAX_SYSTEM_NAME: Final = 32
#: Longest directory name for one server: leaves room below the 107 bytes of a unix socket's path.
MAX_DIRECTORY_NAME: Final = 24

_SYSTEM_NAME: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
#: Hex digits of a hash in a name.
DIGITS: Final = 16
_LOOKS_MAPPED: Final = re.compile(rf".*-[0-9a-f]{{{DIGITS}}}")
_LOOKS_SHORTENED: Final = re.compile(r"[0-9a-f]+")
_OTHER: Final = re.compile(r"[^a-z0-9_]+")


def system_name(wanted: str) -> str:
    """The system user name for *wanted*: itself when that is a plain name, else a slug and a hash."""
    if _SYSTEM_NAME.fullmatch(wanted) and not _LOOKS_MAPPED.fullmatch(wanted):
        return wanted
    return _mapped(wanted, length=MAX_SYSTEM_NAME)


def directory_name(key: str) -> str:
    """One path component that stands for *key*, whatever characters it has."""
    return _mapped(key, length=MAX_DIRECTORY_NAME)


def short_name(name: str) -> str:
    """*name* if it is short and no hash, else a hash of it: for paths in which every byte counts."""
    is_hash = len(name) == DIGITS and _LOOKS_SHORTENED.fullmatch(name)
    if len(name) <= DIGITS and not is_hash:
        return name
    return _digest(name)[:DIGITS]


def deployment_name(runtime: Path) -> str:
    """What the launcher with the absolute runtime directory *runtime* calls what it has elsewhere on the machine."""
    return f"perijove-{hashlib.sha256(os.fsencode(runtime)).hexdigest()[:12]}"


def _mapped(wanted: str, *, length: int) -> str:
    plain = unicodedata.normalize("NFKD", wanted).encode("ascii", "ignore").decode().lower()
    slug = _OTHER.sub("-", plain).strip("-")[: length - DIGITS - 1].rstrip("-")
    if not slug or not (slug[0].isalpha() or slug[0] == "_"):
        slug = f"u{slug}"[: length - DIGITS - 1]
    return f"{slug}-{_digest(wanted)[:DIGITS]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
