"""
Which files a starting JupyterLab asks for, so that the sign-in page can fetch them before.

What real starts ask for is learned: everything that a browser loads as script, style or font within
half a minute of its first such request. Until one has been seen, the list is the main bundle, the core and
what the main bundle says that it begins with. The list is kept with the version of the files that it is about.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

import structlog

from perijove.hub.web.lab.first_files import first_chunks
from perijove.hub.web.lab.tree import LabTree

log = structlog.get_logger(__name__)

#: How long after its first request a browser is believed to be starting JupyterLab.
WINDOW: Final = timedelta(seconds=30)
#: Browsers watched at once; the oldest is forgotten first.
MAX_BROWSERS: Final = 1000
#: A longer list would cost a phone more than it saves.
MAX_FILES: Final = 200
MAX_BYTES: Final = 12 * 1024 * 1024
#: JupyterLab asks for `name.<hash>.js` as `name.<hash>.js?v=<hash>`.
_HASHED: Final = re.compile(r"\.([0-9a-f]{16,20})\.js$")
_MAIN: Final = "main.*.js"
_CORE: Final = "jlab_core.*.js"
#: What `Sec-Fetch-Dest` says of files that a page loads; the sign-in page's own fetching says `empty`.
_LOADED_BY_LAB: Final = frozenset({"script", "style", "font"})


class StartList:
    """Learns by watching; saved as JSON, best effort."""

    def __init__(self, *, tree: LabTree, path: Path) -> None:
        self._tree = tree
        self._path = path
        self._first_seen: OrderedDict[str, datetime] = OrderedDict()
        self._learned: dict[str, None] = dict.fromkeys(self._load())
        self._bytes = sum(tree.size(_name(item)) for item in self._learned)

    def items(self) -> list[str]:
        """Names with their query, relative to the address of the files, in the order of loading."""
        return list(dict.fromkeys([*self._learned, *self._read_from_loader]))

    def note(self, *, browser: str, item: str, destination: str, now: datetime) -> None:
        """*browser* (an address) loaded *item* (`name?query`)."""
        is_lab = destination in _LOADED_BY_LAB and self._is_address_of_lab(item)
        if not is_lab or not self._is_starting(browser, now) or item in self._learned:
            return
        size = self._tree.size(_name(item))
        if len(self._learned) < MAX_FILES and self._bytes + size <= MAX_BYTES:
            self._learned[item] = None
            self._bytes += size
            self._save()

    def _is_address_of_lab(self, item: str) -> bool:
        # Whoever likes may ask with another query, but must not fill the list with it.
        name, _, query = item.partition("?")
        hashed = _HASHED.search(name)
        return name in self._tree and query in ({"", f"v={hashed[1]}"} if hashed else {""})

    def _is_starting(self, browser: str, now: datetime) -> bool:
        first = self._first_seen.setdefault(browser, now)
        if len(self._first_seen) > MAX_BROWSERS:
            self._first_seen.popitem(last=False)
        return now - first <= WINDOW

    @cached_property
    def _read_from_loader(self) -> list[str]:
        main = self._tree.names(_MAIN)
        chunks = [chunk for name in main for chunk in first_chunks(self._tree.text(name))]
        names = [
            *main,
            *self._tree.names(_CORE),
            *(name for chunk in chunks for name in self._tree.names(f"{chunk}.*.js")),
        ]
        return [f"{name}?v={match[1]}" for name in names if (match := _HASHED.search(name))]

    def _load(self) -> list[str]:
        try:
            kept = json.loads(self._path.read_text())
            items = kept["items"] if kept["version"] == self._tree.version else []
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return [item for item in items if isinstance(item, str) and _name(item) in self._tree][:MAX_FILES]

    def _save(self) -> None:
        unfinished = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps({"version": self._tree.version, "items": list(self._learned)}))
            unfinished.replace(self._path)
        except OSError as exc:
            # A full disk must not keep JupyterLab's files from anybody: the list lives on in memory.
            log.warning("lab.start_list_not_saved", error=str(exc))


def _name(item: str) -> str:
    return item.partition("?")[0]
