"""
Control groups: version 1 for real, version 2 against files that behave like the kernel's and its real core files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from perijove.kit import cgroups as kit
from perijove.kit.cgroups import V2
from perijove.launcher.cgroup_settings import Together
from perijove.launcher.cgroups import PARTS, ControlGroups, Place, find
from perijove.launcher.ending import empty_group
from perijove.wire.launcher import Limits
from tests.support.cgroup2 import FakeTree
from tests.support.launcher import needs_root

NAME = f"perijove-test-{os.getpid()}"
MB = 2**20
#: memory, freezer and pids of version 1 where we may write
v1 = pytest.mark.skipif(
    os.getuid() != 0 or not any(tree.version == 1 and "memory" in tree.controllers for tree in kit.trees()),
    reason="no control groups of version 1 here, or not root",
)
unified = [tree for tree in kit.trees() if tree.version == V2]

Runs = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def runs() -> Iterator[Runs]:
    """Run Python in groups."""
    with ExitStack() as stack:

        def run(program: str, *, joining: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
            def join() -> None:
                for file in joining:
                    Path(file).write_text("0")

            process = subprocess.Popen(
                [sys.executable, "-c", program],
                preexec_fn=join,  # noqa: PLW1509  # no threads here
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            return process

        yield run


@contextmanager
def held(groups: ControlGroups) -> Iterator[ControlGroups]:
    try:
        yield groups
    finally:
        for name in groups.names():
            groups.kill(name)
            groups.remove(name)
        groups.close()


@pytest.fixture
def real() -> Iterator[ControlGroups]:
    with held(find(NAME)) as groups:
        yield groups


@v1
def test_everything_can_be_held_by_version_1(real: ControlGroups) -> None:
    assert real.controllers == {"memory", "cpu", "pids"}
    assert real.versions == {1}


@v1
def test_who_takes_more_memory_than_allowed_is_killed_and_counted(real: ControlGroups, runs: Runs) -> None:
    joining = real.make("a", Limits(memory=64 * MB))
    code = runs("x = bytearray(200 << 20)", joining=joining).wait(30)
    used = real.memory("a")

    assert code == -9
    assert used is not None
    assert (used.limit, used.kills) == (64 * MB, 1)
    assert 60 * MB < used.peak <= 64 * MB


@v1
def test_all_together_are_held_too(real: ControlGroups, runs: Runs) -> None:
    real.hold_all(Together(memory=96 * MB, processes=10))
    program = "import time; x = bytearray(60 << 20); print(len(x), flush=True); time.sleep(60)"
    first = runs(program, joining=real.make("a", Limits()))
    second = runs(program, joining=real.make("b", Limits()))
    deadline = time.monotonic() + 20
    while first.poll() is None and second.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    # One of them is killed, whichever the kernel thinks best; the other goes on.
    codes = {first.poll(), second.poll()}
    kills = [memory.kills for name in ("a", "b") if (memory := real.memory(name)) is not None]
    everyone = real.memory_of_all()

    assert codes == {-9, None}
    assert sum(kills) == 1
    assert everyone is not None
    assert everyone.limit == 96 * MB


@v1
def test_a_limit_for_all_can_be_raised_and_lowered(real: ControlGroups) -> None:
    limits = []
    for size in (64 * MB, 128 * MB, 32 * MB):
        real.hold_all(Together(memory=size))
        memory = real.memory_of_all()
        limits.append(memory.limit if memory is not None else None)

    assert limits == [64 * MB, 128 * MB, 32 * MB]


@v1
def test_who_computes_more_than_allowed_waits(real: ControlGroups, runs: Runs) -> None:
    spin = "import time; t = time.time()\nwhile time.time() - t < 0.6: pass"
    runs(spin, joining=real.make("a", Limits(cpu=0.2))).wait(30)

    assert real.throttled("a") > 0


@v1
async def test_a_fork_bomb_stays_within_its_number_and_is_killed_whole(real: ControlGroups, runs: Runs) -> None:
    bomb = "import os, time\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(0.01)"
    process = runs(bomb, joining=real.make("a", Limits(processes=30)))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.7)
    most = len(real.members("a"))
    await empty_group(real, "a")

    assert 20 <= most <= 30
    assert real.names() == frozenset()


@v1
async def test_where_forks_cannot_be_counted_a_bomb_is_frozen_to_be_killed(runs: Runs) -> None:
    trees = [tree for tree in kit.trees() if tree.version == 1 and "pids" not in tree.controllers]
    # It has an end of its own: nothing but the freezer would stop it.
    bomb = "import os, time\nfor _ in range(6):\n    os.fork()\n    time.sleep(0.1)\ntime.sleep(60)"
    with held(find(NAME, trees=trees)) as groups:
        process = runs(bomb, joining=groups.make("a", Limits(cpu=0.2)))
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        grown = len(groups.members("a"))
        await empty_group(groups, "a")

        assert groups.controllers == {"memory", "cpu", "freezer"}
        assert grown > 1
        assert groups.names() == frozenset()


@v1
def test_promises_are_read_back_from_the_groups_and_end_with_them(real: ControlGroups) -> None:
    real.make("a", Limits(memory_guarantee=100 * MB, cpu_guarantee=0.5))
    real.make("b", Limits(memory_guarantee=50 * MB))
    again = find(NAME)
    both = (again.promised_memory(), again.promised_cores())
    again.remove("a")

    assert both == (150 * MB, 0.5)
    assert (real.promised_memory(), real.promised_cores()) == (50 * MB, 0.0)


@v1
def test_a_group_that_cannot_be_made_leaves_nothing(real: ControlGroups) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        real.make("a", Limits(processes=-5))

    assert real.names() == frozenset()


@v1
def test_the_group_above_goes_with_the_last_server(real: ControlGroups) -> None:
    real.make("a", Limits())
    real.close()
    kept = real.names()
    real.remove("a")
    real.close()

    assert kept == {"a"}
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{NAME}"))


@pytest.mark.skipif(not unified or os.getuid() != 0, reason="no version 2 here, or not root")
@pytest.mark.parametrize("_", range(2))
def test_the_core_files_of_version_2_are_as_we_think(runs: Runs, _: int) -> None:
    """
    Its controllers may all be version 1's here: joining, looking and killing are tried for real.
    """
    directory = unified[0].mount / NAME
    directory.mkdir()
    with held(ControlGroups({"core": Place(version=V2, directory=directory)})) as groups:
        joining = groups.make("a", Limits())
        process = runs("import time; time.sleep(60)", joining=joining)
        members = groups.members("a")
        busy = groups.remove("a")
        groups.kill("a")
        code = process.wait(10)

        assert joining == (str(directory / "a" / "cgroup.procs"),)
        assert members == {process.pid}
        assert (busy, code) == (False, -9)
        assert groups.remove("a")
    assert not directory.exists()


class TestVersion2:
    """Against files that behave like the kernel's."""

    @pytest.fixture(params=["root", "container"])
    def fake(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeTree]:
        fake = FakeTree(tmp_path, is_real_root=request.param == "root")
        with fake.mounted():
            yield fake

    @pytest.fixture
    def groups(self, fake: FakeTree) -> ControlGroups:
        return find(NAME, trees=[fake.tree])

    def test_everything_can_be_held(self, groups: ControlGroups) -> None:
        assert groups.controllers == {"memory", "cpu", "pids"}
        assert groups.versions == {V2}

    def test_what_is_written_is_what_was_asked_for(self, fake: FakeTree, groups: ControlGroups) -> None:
        groups.hold_all(Together(memory=2**30, processes=500))
        groups.make("a", Limits(memory=MB, cpu=1.5, processes=9, memory_guarantee=1000, cpu_guarantee=2))
        above, own = fake.mount / NAME, fake.mount / NAME / "a"
        read = {
            f"{group.name}/{name}": (group / name).read_text().strip()
            for group in (above, own)
            for name in ("memory.max", "memory.swap.max", "memory.low", "cpu.max", "cpu.weight", "pids.max")
        }

        assert read == {
            f"{NAME}/memory.max": str(2**30),
            f"{NAME}/memory.swap.max": "0",
            f"{NAME}/memory.low": "0",
            f"{NAME}/cpu.max": "max 100000",
            f"{NAME}/cpu.weight": "50",
            f"{NAME}/pids.max": "500",
            "a/memory.max": str(MB),
            "a/memory.swap.max": "0",
            "a/memory.low": "1000",
            "a/cpu.max": "150000 100000",
            "a/cpu.weight": "200",
            "a/pids.max": "9",
        }

    def test_a_process_joins_is_seen_killed_and_its_group_removed(
        self, fake: FakeTree, groups: ControlGroups, runs: Runs
    ) -> None:
        (joining,) = groups.make("a", Limits(processes=9))
        process = runs("import time; time.sleep(60)")
        fake.join(joining, process.pid)
        seen, busy = groups.members("a"), groups.remove("a")
        groups.kill("a")

        assert seen == {process.pid}
        assert not busy
        assert process.wait(10) in (-9, 0)
        assert groups.remove("a")
        assert groups.names() == frozenset()

    def test_counters_are_read(self, fake: FakeTree, groups: ControlGroups) -> None:
        groups.make("a", Limits(memory=100, memory_guarantee=10, cpu_guarantee=0.5))
        own = fake.mount / NAME / "a"
        fake.set(own / "memory.current", "90\n")
        fake.set(own / "memory.peak", "99\n")
        fake.set(own / "memory.stat", "anon 70\ninactive_file 20\n")
        fake.set(own / "memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n")
        fake.set(own / "cpu.stat", "usage_usec 5\nnr_throttled 4\n")

        assert groups.memory("a") == kit.Memory(used=70, limit=100, peak=99, kills=2)
        assert groups.throttled("a") == 4
        assert (groups.promised_memory(), groups.promised_cores()) == (10, 0.5)

    def test_what_the_kernel_does_not_take_is_no_group(self, fake: FakeTree, groups: ControlGroups) -> None:
        with pytest.raises(OSError, match="not as the kernel reads it"):
            groups.make("a", Limits(processes=-1))

        assert not (fake.mount / NAME / "a").exists()

    def test_a_missing_controller_is_not_promised(self, tmp_path: Path) -> None:
        (tmp_path / "t").mkdir()
        fake = FakeTree(tmp_path / "t", controllers=("cpu",))
        with fake.mounted():
            assert find(NAME, trees=[fake.tree]).controllers == {"cpu"}


class TestDelegation:
    """A service of systemd, or a container: processes are where groups are to be made."""

    @pytest.fixture
    def proc(self, tmp_path: Path) -> Path:
        (tmp_path / "proc").mkdir()
        return tmp_path / "proc"

    @pytest.fixture
    def fake(self, tmp_path: Path) -> Iterator[FakeTree]:
        (tmp_path / "tree").mkdir()
        fake = FakeTree(tmp_path / "tree", is_real_root=False)
        with fake.mounted():
            yield fake

    def test_processes_that_are_in_the_way_move_to_a_leaf(self, fake: FakeTree, proc: Path, runs: Runs) -> None:
        process = runs("import time; time.sleep(60)")
        fake.join(str(fake.mount / "cgroup.procs"), process.pid)
        (proc / "cgroup").write_text("0::/\n")
        groups = find(NAME, trees=[fake.tree], process=proc)

        assert groups.controllers == {"memory", "cpu", "pids"}
        assert fake.pids(fake.mount / PARTS) == [process.pid]
        assert fake.pids(fake.mount) == []

    def test_a_restarted_launcher_finds_the_groups_beside_its_leaf(self, fake: FakeTree, proc: Path) -> None:
        (proc / "cgroup").write_text("0::/\n")
        find(NAME, trees=[fake.tree], process=proc).make("a", Limits(memory=MB))
        (fake.mount / PARTS).mkdir(exist_ok=True)
        (proc / "cgroup").write_text(f"0::/{PARTS}\n")

        assert find(NAME, trees=[fake.tree], process=proc).names() == {"a"}

    def test_who_may_write_only_the_own_group_uses_that(
        self, fake: FakeTree, proc: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        What systemd hands over with Delegate=yes, as it marks it.
        """
        (fake.mount / "service").mkdir()
        (fake.mount / "cgroup.subtree_control").write_text("+memory")
        (fake.mount / "cgroup.subtree_control").write_text("+pids")
        process = runs("import time; time.sleep(60)")
        fake.join(str(fake.mount / "service" / "cgroup.procs"), process.pid)
        (proc / "cgroup").write_text("0::/service\n")
        monkeypatch.setattr(os, "getxattr", lambda path, _: b"1" if Path(path).name == "service" else b"0")
        groups = find(NAME, trees=[fake.tree], process=proc)

        assert groups.controllers == {"memory", "pids"}
        assert (fake.mount / "service" / NAME).is_dir()
        assert not (fake.mount / NAME).exists()

    def test_where_nothing_may_be_written_nothing_is_promised(self, fake: FakeTree, proc: Path) -> None:
        (proc / "cgroup").write_text("0::/\n")
        tree = fake.tree
        shutil.rmtree(fake.mount)

        assert find(NAME, trees=[tree], process=proc).controllers == frozenset()


@v1
class TestAsAnOrdinaryUser:
    """With groups that an administrator has handed over."""

    pytestmark = needs_root

    def test_groups_below_the_own_one_are_used(self) -> None:
        handed = [tree.mount / NAME for tree in kit.trees() if {"memory", "pids"} & tree.controllers]
        script = (
            "import os, sys; from pathlib import Path\n"
            "for d in sys.argv[1:]: (Path(d) / 'cgroup.procs').write_text('0')\n"
            "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)\n"
            "from perijove.launcher.cgroups import find\n"
            "from perijove.wire.launcher import Limits\n"
            "g = find('mine'); g.make('a', Limits(processes=3, memory=1 << 20))\n"
            "print(sorted(g.controllers), g.memory('a').limit); g.remove('a'); g.close()"
        )
        try:
            for directory in handed:
                directory.mkdir()
                for path in (directory, *directory.iterdir()):
                    os.chown(path, 65534, 65534)
            said = subprocess.run(
                [sys.executable, "-c", script, *map(str, handed)],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
        finally:
            for directory in handed:
                directory.rmdir()

        assert said.stdout.strip() == "['memory', 'pids'] 1048576"
