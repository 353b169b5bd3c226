"""
JupyterLab's files as the rest of the web edge sees them: their address, their forms, their preparation.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import structlog

from perijove.hub.web.lab import compress
from perijove.hub.web.lab.start_list import StartList
from perijove.hub.web.lab.tree import LabTree

log = structlog.get_logger(__name__)

#: Below the hub's prefix.
LAB_ASSETS: Final = "lab-assets"
#: More than ten times what compressing JupyterLab takes at the lowest priority of a busy machine.
_COMPRESS_TIMEOUT: Final = 600.0


class LabAssets:
    """One version of JupyterLab's static files at one address."""

    def __init__(self, *, source: Path, state: Path, hub_prefix: str) -> None:
        self.tree = LabTree(source=source, variants=state)
        self.start_list = StartList(tree=self.tree, path=state / "start.json")
        #: URL path of the files, without a slash at the end; servers are told it
        self.url = f"{hub_prefix}{LAB_ASSETS}/{self.tree.version}"

    async def prepare(self) -> None:
        """Make the compressed variants, unless they are there. The files can be had before and meanwhile."""
        if self.tree.variants.is_dir():
            return
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            # Isolated: the hub may be root, and this needs nothing from the environment or the working directory.
            "-I",
            compress.__file__,
            str(self.tree.source),
            str(self.tree.variants),
            stdin=asyncio.subprocess.DEVNULL,
        )
        try:
            code = await asyncio.wait_for(process.wait(), _COMPRESS_TIMEOUT)
            if code == 0:
                log.debug("lab.assets_compressed")
            else:
                log.warning("lab.assets_not_compressed", exit_code=code)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
