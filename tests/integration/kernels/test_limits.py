"""
A kernel lives in the control group of its server: one limit for both, and the kernel is the first to go.
"""

from __future__ import annotations

import os
from typing import Final

import pytest

from perijove.kit import cgroups
from perijove.wire.launcher import Limits
from tests.support.kernel import kernel
from tests.support.launcher import LauncherProcess, browser, end, identity, launch_request, launched

MB: Final = 2**20

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or not any("memory" in tree.controllers for tree in cgroups.trees()),
    reason="needs root and control groups for memory",
)


@pytest.mark.parametrize("launcher", ["root"], indirect=True)
async def test_a_kernel_that_takes_too_much_is_killed_before_its_server_and_says_of_how_much(
    launcher: LauncherProcess,
) -> None:
    audience = {"PERIJOVE_AUDIENCE": "ada/"}
    request = launch_request(server_name="small", environment=audience, limits=Limits(memory=256 * MB))
    async with launcher.client() as client:
        server = await launched(client, request)
        async with kernel(server) as greedy:
            await greedy.begin("x = bytearray(b'x') * (512 << 20)")
            await greedy.wait_for("restarting")
            async with browser(server, identity()) as visitor:
                told = (await visitor.get(f"/user/ada/small/perijove/kernels/{greedy.id}/end")).json()
                alive = await visitor.get("/user/ada/small/api")
        report = await end(client, server)

    assert told["reason"] == "oom"
    assert told["message"] == "The kernel was killed because it ran out of memory: 256 MB of 256 MB were in use."
    assert alive.status_code == 200
    assert report.reason != "oom"
