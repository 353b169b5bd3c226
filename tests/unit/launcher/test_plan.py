from __future__ import annotations

from perijove.kit.frames import HEADER, framed
from perijove.launcher.plan import ChildPlan


def test_a_plan_survives_the_way_to_the_template() -> None:
    plan = ChildPlan(
        name="ada/",
        uid=1001,
        gid=1001,
        groups=(1001, 27),
        switch_user=True,
        home="/home/ada",
        directory="",
        listens=True,
        environment={"NAME": "Ädä"},
        app="some.app",
        argv=(),
        args=("--debug",),
        processes=None,
        open_files=100,
        cgroups=("/sys/fs/cgroup/perijove/a/cgroup.procs",),
        descriptors=("output", "gate"),
    )

    message = framed(plan.to_bytes())
    (length,) = HEADER.unpack(message[: HEADER.size])

    assert length == len(message) - HEADER.size
    assert ChildPlan.from_bytes(message[HEADER.size :]) == plan
