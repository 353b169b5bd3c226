"""
What a starting JupyterLab will ask for, read from its own loader: pure text in, chunk numbers out.

JupyterLab's main bundle names the chunks that it begins with, and for every chunk the shared modules that it
consumes and the chunks that bring those (module federation). Following that from the beginning gives the list,
for a JupyterLab that nobody has started yet. A loader that is written otherwise gives nothing: then the list is
what `start_list` learns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_CHUNK_LOAD: Final = re.compile(r"\.e\((\d+)\)")
#: the chunks before JupyterLab's `main` can be called
_BEGINNING: Final = re.compile(r"Promise\.all\(\[((?:\w+\.e\(\d+\),?)+)\]\)\.then\(\w+\.bind\(\w+,\d+\)\)\)?\.main\b")
#: chunk → shared modules that it consumes
_CONSUMPTION: Final = re.compile(r'chunkMapping:\{((?:\d+:\[(?:"\d+",?)*\],?)+)\}')
_CONSUMED_BY: Final = re.compile(r'(\d+):\[((?:"\d+",?)*)\]')
#: shared module → how it is loaded
_SHARED_MODULE: Final = re.compile(r'(\d+):\{shareScope:"default",[^{}]*?fallback:([^{}]*)\}')


def first_chunks(main_bundle: str) -> list[str]:
    """Numbers of the chunks that come with the beginning, in an order in which they may be fetched."""
    beginning = _BEGINNING.search(main_bundle)
    if beginning is None:
        return []
    consumed = _consumed_modules(main_bundle)
    loaded_by = {module: _CHUNK_LOAD.findall(loader) for module, loader in _SHARED_MODULE.findall(main_bundle)}
    found: dict[str, None] = {}
    waiting = _CHUNK_LOAD.findall(beginning[1])
    while waiting:
        chunk = waiting.pop(0)
        if chunk not in found:
            found[chunk] = None
            waiting += _flat(loaded_by.get(module, ()) for module in consumed.get(chunk, ()))
    return list(found)


def _consumed_modules(main_bundle: str) -> dict[str, list[str]]:
    mapping = _CONSUMPTION.search(main_bundle)
    if mapping is None:
        return {}
    return {chunk: re.findall(r"\d+", modules) for chunk, modules in _CONSUMED_BY.findall(mapping[1])}


def _flat(lists: Iterable[Iterable[str]]) -> list[str]:
    return [item for items in lists for item in items]
