"""
A long run of `perijove chaos`: two hubs over a PostgreSQL that crashes, too. `script/chaos [seconds]` runs it.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.postgres import running_postgres
from tests.support.rest import OPEN_HOUSE, TOKEN
from tests.support.site import remove_system_users, running_site


def main(seconds: str) -> int:
    """Answers the exit status: 0 if nothing was lost."""
    with running_postgres() as postgres:
        database = f"c.Perijove.db_url = {postgres.url(postgres.create())!r}\n"
        database += "c.Perijove.hubs = 2\nc.Launcher.fork_kernels = True\n"
        with running_site(OPEN_HOUSE + database) as site:
            words = ["--yes", "--seconds", seconds, "--restart-database", postgres.crash_command]
            done = subprocess.run(
                [sys.executable, "-P", "-m", "perijove", "chaos", "-f", str(site.config), *words],
                env={**os.environ, "JUPYTERHUB_API_TOKEN": TOKEN},
                timeout=float(seconds) + 600,
                check=False,
            )
            if done.returncode:
                sys.stdout.write(site.output)
    remove_system_users()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "300"))
