"""
Memory that is about to run out, as its user sees it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from perijove.kit import cgroups
from tests.support.lab import Person
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, running_site

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        os.getuid() != 0 or not any("memory" in tree.controllers for tree in cgroups.trees()),
        reason="needs root and control groups for memory",
    ),
]
#: Takes memory until there is a twentieth left: the group's, as either version of control groups tells it.
FILL = """import os
lines = [line.strip().split(":", 2) for line in open("/proc/self/cgroup")]
v1 = [path for _, names, path in lines if "memory" in names.split(",")]
folder = "/sys/fs/cgroup/memory" + v1[0] if v1 else "/sys/fs/cgroup" + lines[-1][2]
usage, idle = ("memory.usage_in_bytes", "total_inactive_file") if v1 else ("memory.current", "inactive_file")
def used():
    statistics = dict(line.split() for line in open(folder + "/memory.stat"))
    return int(open(f"{folder}/{usage}").read()) - int(statistics[idle])
held = []
while used() < int(os.environ["MEM_LIMIT"]) * 0.95: held.append(bytearray(b"x") * 2**20)
print("full", "now")"""
#: Milliseconds for two looks of the server, on a busy machine.
PATIENCE = 30_000


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running_site(f"{OPEN_HOUSE}\nc.Spawner.mem_limit = '500M'\nc.Launcher.fork_kernels = True\n") as running:
        yield running


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_said_before_and_withdrawn_when_there_is_room(
    browser: Browser, site: Site, tmp_path: Path, scheme: str
) -> None:
    ada = Person(browser, site, f"ada-{scheme}", scheme=scheme)
    ada.sign_in()
    ada.wait_for_lab()
    if scheme == "dark":
        with Rest(site) as rest:
            theme = {"raw": '{"theme": "JupyterLab Dark"}'}
            rest("PUT", f"/user/ada-{scheme}/lab/api/settings/@jupyterlab/apputils-extension:themes", json=theme)
        ada.fresh_lab()
    ada.new_notebook()
    warning = ada.page.locator(".Toastify__toast", has_text="of 500 MB of memory")
    ada.output_of(0, FILL, "full now")
    expect(warning).to_contain_text("shut down what you do not need.", timeout=PATIENCE)
    ada.page.wait_for_timeout(1000)
    ada.page.screenshot(path=tmp_path / f"memory-{scheme}.png")

    ada.run_cell(1, "held.clear()")

    expect(warning).to_have_count(0, timeout=PATIENCE)
    ada.close()
