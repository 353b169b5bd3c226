from __future__ import annotations

from pathlib import Path

import pytest

from perijove.kit.cgroups import Tree, parse_memberships, parse_mounts

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /docker/1 /sys/fs/cgroup/my\\040memory ro,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
nonsense
42 31 - cgroup
"""


def test_the_trees_of_both_versions_are_found() -> None:
    trees = parse_mounts(HYBRID)

    assert trees == (
        Tree(version=1, controllers=frozenset({"cpu", "cpuacct"}), mount=Path("/sys/fs/cgroup/cpu,cpuacct")),
        Tree(
            version=1,
            controllers=frozenset({"memory"}),
            mount=Path("/sys/fs/cgroup/my memory"),
            root="/docker/1",
        ),
        Tree(version=2, controllers=frozenset(), mount=Path("/sys/fs/cgroup/unified")),
    )


def test_the_groups_of_a_process_are_found_by_controller() -> None:
    groups = parse_memberships("4:memory:/a:b\n2:cpu,cpuacct:/c\n1:name=systemd:/d\n0::/user.slice\n")

    assert groups["memory"] == "/a:b"
    assert groups["cpu"] == groups["cpuacct"] == "/c"
    assert groups[""] == "/user.slice"


@pytest.mark.parametrize(
    ("root", "group", "expected"),
    [
        ("/", "/", "/m"),
        ("/", "/a/b", "/m/a/b"),
        ("/docker/1", "/docker/1", "/m"),
        ("/docker/1", "/docker/1/x", "/m/x"),
        ("/docker/1", "/docker/12", None),
        ("/docker/1", "/", None),
        ("/", "/../other", None),
    ],
)
def test_a_group_is_seen_below_what_is_mounted_or_not_at_all(root: str, group: str, expected: str | None) -> None:
    tree = Tree(version=2, controllers=frozenset(), mount=Path("/m"), root=root)

    assert tree.directory(group) == (Path(expected) if expected else None)
