"""
What a server says as it ends, for the user who wonders why it did.
"""

# ruff: noqa: ASYNC240 -- a test may look at a file while it waits for nothing else
from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from perijove.spawners.launcher_client import LauncherClient
from tests.support.launcher import exit_of, launch_request, launched


async def test_what_broken_settings_say_as_they_end_the_server_is_reported(client: LauncherClient) -> None:
    """
    `sys.exit("why")` prints in every Python; in a forked one that never returns to an interpreter as well.
    """
    settings = Path(tempfile.mkdtemp(prefix="pj-", dir="/var/lib"))
    settings.chmod(0o755)
    (settings / "jupyter_server_config.py").write_text("import sys; sys.exit('the course is not mounted')\n")
    request = launch_request(generation=1, user="eve", environment={"JUPYTER_CONFIG_PATH": str(settings)})

    report = await exit_of(client, await launched(client, request))

    assert report.status == 1
    assert "the course is not mounted" in report.log_tail
    shutil.rmtree(settings)
