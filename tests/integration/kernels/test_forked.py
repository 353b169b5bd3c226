"""
A forked kernel does what an ordinary one does, and is nobody's but its server's.
"""

from __future__ import annotations

import ast
import asyncio
import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from perijove.wire.launcher import Launched
from tests.support.kernel import ORDINARY, Kernel, add_kernelspec, home_of, is_forked, kernel, targets_of
from tests.support.launcher import LauncherProcess, eventually, main_process

#: Run in both kinds of kernel; what differs is a difference that people could notice.
SURROUNDINGS = """
import atexit, json, locale, multiprocessing, os, resource, signal, site, sys, tempfile, threading, time
import IPython.paths, jupyter_core.paths
ip = get_ipython()
seen = {
    "path": sys.path, "argv0": sys.argv[0], "argv1": sys.argv[1], "executable": sys.executable, "flags": str(sys.flags),
    "prefix": [sys.prefix, sys.base_prefix], "warnoptions": sys.warnoptions, "xoptions": sys._xoptions,
    "environment": {n: v for n, v in os.environ.items() if n not in {"JPY_SESSION_NAME"}},
    "cwd": os.getcwd(), "umask": os.umask(0o077), "uid": os.getresuid(), "gid": os.getresgid(),
    "groups": os.getgroups(), "signals": {int(s): str(signal.getsignal(s)).split(" at ")[0] for s in range(1, 65)},
    "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "limits": {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")},
    "locale": [locale.setlocale(c) for c in (locale.LC_CTYPE, locale.LC_NUMERIC, locale.LC_TIME)],
    "encodings": [sys.getdefaultencoding(), sys.getfilesystemencoding(), sys.stdout.encoding, sys.__stdout__.encoding],
    "streams": [type(s).__name__ for s in (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__)],
    "main": [sys.modules["__main__"] is ip.user_module, __name__, getattr(sys.modules["__main__"], "__file__", None)],
    "multiprocessing": [multiprocessing.get_start_method(), multiprocessing.process.ORIGINAL_DIR],
    "site": [site.ENABLE_USER_SITE, site.getusersitepackages(), site.getuserbase()],
    "temporary": tempfile.gettempdir(), "tz": time.tzname,
    "ipython": [IPython.paths.get_ipython_dir(), ip.profile_dir.location, jupyter_core.paths.jupyter_runtime_dir()],
    "paths": [jupyter_core.paths.jupyter_path(), jupyter_core.paths.jupyter_config_path()],
    "leader": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
    "threads": sorted(t.name.split("-")[0] for t in threading.enumerate() if t is not threading.main_thread()
                      and type(t).__name__ != "ParentPollerUnix"),
    "recursion": sys.getrecursionlimit(), "switch": sys.getswitchinterval(), "hooks": [sys.excepthook.__qualname__],
    "user_ns": sorted(n for n in ip.user_ns if not n.startswith("_") and n not in globals().get("_before", ())),
}
print(repr(seen))
"""
MATPLOTLIB = """
import matplotlib, matplotlib.pyplot as plt
print([matplotlib.get_backend(), matplotlib.get_configdir(), matplotlib.get_cachedir(), matplotlib.matplotlib_fname(),
       sorted(map(str, matplotlib.rcParams.items())), plt.isinteractive()])
"""


def namespace(process: psutil.Process, name: str) -> str:
    return str(Path(f"/proc/{process.pid}/ns/{name}").readlink())


def differing(one: Any, other: Any) -> Any:
    """What is not the same in both."""
    if isinstance(one, dict) and isinstance(other, dict):
        each = {name: differing(one.get(name), other.get(name)) for name in one | other}
        return {name: found for name, found in each.items() if found} or None
    return None if one == other else (one, other)


async def test_it_is_forked_by_the_launcher_as_its_servers_user(
    launcher: LauncherProcess, server: Launched, warm: Kernel
) -> None:
    process = await warm.process()

    assert is_forked(process, launcher.pid)
    main = psutil.Process(main_process(server))
    assert (process.uids(), process.gids()) == (main.uids(), main.gids())
    for name in ("mnt", "ipc", "pid", "user"):
        assert namespace(process, name) == namespace(main, name)


@pytest.mark.parametrize("cell", [SURROUNDINGS, MATPLOTLIB], ids=["surroundings", "matplotlib"])
async def test_it_finds_what_an_ordinary_one_finds(server: Launched, warm: Kernel, cell: str) -> None:
    forked = ast.literal_eval(await warm.says(cell))
    async with kernel(server, ORDINARY) as other:
        ordinary = ast.literal_eval(await other.says(cell))

    assert differing(forked, ordinary) is None


async def test_modules_of_the_administrators_are_there_and_those_that_spoil_a_template_are_not(
    launcher: LauncherProcess, warm: Kernel
) -> None:
    loaded = await warm.says("import sys; print([n in sys.modules for n in ('numpy', 'matplotlib.pyplot')])")
    refused = await warm.says("print([n for n in sys.modules if n.startswith('tests.support')])")

    assert loaded == "[True, True]"
    assert refused == "[]"
    assert "preload.refused" in launcher.log()
    assert "tests.support.starts_a_thread" in launcher.log()
    assert "/etc/hostname" in launcher.log()


async def test_it_has_no_descriptor_and_no_variable_that_is_not_its_own(server: Launched, warm: Kernel) -> None:
    process = await warm.process()
    targets = targets_of(process.pid)
    environment = await warm.says("print(sorted(os.environ))")
    history = [target for target in targets if ".ipython" in target]

    assert {target for target in targets if target.startswith("/")} == {"/dev/null", server.log, *history}
    assert "SECRET_OF_THE_LAUNCHER" not in environment
    assert "OPENBLAS_NUM_THREADS" not in environment
    assert "MPLCONFIGDIR" not in environment


async def test_nothing_secret_is_in_its_memory(warm: Kernel) -> None:
    """
    What is in a template is in every kernel of every user.
    """
    search = """
import re
# These do not match what they are made of.
found = {rb"SECRET_OF_THE_LAUNCHE[R]=x": 0, rb"planted_by_thi[s]=x": 0}
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if " rw" in line and "[v" not in line:
            memory.seek(start)
            data = memory.read(end - start)
            for needle in found:
                found[needle] += len(re.findall(needle, data))
            del data
print(list(found.values()))
"""
    await warm.run("import os; os.environ['planted_by_this'] = 'x'")
    of_the_launcher, control = ast.literal_eval(await warm.says(search))

    assert of_the_launcher == 0
    assert control


async def test_two_kernels_draw_different_numbers(server: Launched, warm: Kernel) -> None:
    """
    They are copies of one process: what is random must not be.
    """
    draw = """
import multiprocessing.process, os, random, secrets, tempfile, uuid
import numpy
print([random.random(), numpy.random.random(), secrets.token_hex(4), str(uuid.uuid4()), uuid.uuid1().time,
       next(tempfile._get_candidate_names()), bytes(multiprocessing.process.current_process().authkey).hex(),
       numpy.random.default_rng().random()])
"""
    first = ast.literal_eval(await warm.says(draw))
    async with kernel(server) as another:
        second = ast.literal_eval(await another.says(draw))

    assert [pair for pair in zip(first, second, strict=True) if pair[0] == pair[1]] == []


async def test_its_sockets_are_in_the_users_own_directory(server: Launched, warm: Kernel) -> None:
    info = ast.literal_eval(
        await warm.says("import ipykernel.connect as c, json; print(json.loads(c.get_connection_info()))")
    )
    folder = Path(info["ip"]).parent

    assert info["transport"] == "ipc"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_uid == psutil.Process(server.pid).uids().real


async def test_an_interrupt_ends_a_sleep_a_loop_and_what_it_has_started(warm: Kernel) -> None:
    for code in ("import time; time.sleep(60)", "while True: sum(range(100_000))", "import os; os.system('sleep 60')"):
        number = await warm.begin(code)
        await asyncio.sleep(0.5)
        assert await warm.post("interrupt") == 204
        outcome = await warm.outcome_of(number)
        if "system" not in code:
            assert outcome.error == "KeyboardInterrupt", code

    assert await warm.says("print(1)") == "1"


async def test_a_restarted_kernel_is_a_new_one_that_is_forked_too(launcher: LauncherProcess, warm: Kernel) -> None:
    before = await warm.process()
    await warm.run("x = 1")
    await warm.restart()
    after = await warm.process()

    assert before.pid != after.pid
    assert not before.is_running()
    assert is_forked(after, launcher.pid)
    assert await warm.says("print('x' in globals())") == "False"


async def test_what_is_to_be_done_at_the_end_is_done(server: Launched) -> None:
    async with kernel(server) as started:
        process = await started.process()
        await started.run("import atexit, pathlib; atexit.register(lambda: pathlib.Path('the-end').touch())")
        home = Path(process.cwd())

    async def is_over() -> bool:
        return not process.is_running() and (home / "the-end").exists()

    assert await eventually(is_over)
    (home / "the-end").unlink()


async def test_figures_are_drawn_inline(warm: Kernel) -> None:
    drawn = await warm.run("import matplotlib.pyplot as plt; plt.plot([1, 2]);")
    by_magic = await warm.run("%matplotlib inline\nplt.plot([2, 1]);")

    assert [output.get("image/png", "")[:4] for output in (*drawn.shown, *by_magic.shown)] == ["iVBO", "iVBO"]


async def test_pools_of_processes_work_in_every_way_of_starting_them(warm: Kernel) -> None:
    code = """
import multiprocessing, math
results = []
for way in ("fork", "spawn", "forkserver"):
    with multiprocessing.get_context(way).Pool(2) as pool:
        results.append(pool.map(math.factorial, range(4)))
print(results)
"""
    assert await warm.says(code) == str([[1, 1, 2, 6]] * 3)


async def test_programs_threads_and_linear_algebra_on_several_cores_work(warm: Kernel) -> None:
    code = """
import subprocess, sys, threading, os, numpy as np
code = "import sys; print(sys.flags.safe_path)"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
seen = []
threads = [threading.Thread(target=seen.append, args=(n,)) for n in range(3)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(seen))
a = np.random.random((600, 600)); b = a @ a
print(bool(np.isfinite(b).all()), len(os.listdir("/proc/self/task")) > 0)
"""
    assert (await warm.says(code)).splitlines() == ["False", "[0, 1, 2]", "True True"]


async def test_linear_algebra_uses_as_many_threads_as_in_an_ordinary_kernel(server: Launched, warm: Kernel) -> None:
    code = """
import ctypes, os
import numpy
files = {l.split(maxsplit=5)[5].strip() for l in open("/proc/self/maps") if "openblas" in l}
names = ("scipy_openblas_get_num_threads64_", "scipy_openblas_get_num_threads", "openblas_get_num_threads")
print([getattr(ctypes.CDLL(f), n)() for f in files for n in names if hasattr(ctypes.CDLL(f), n)])
"""
    forked = await warm.says(code)
    async with kernel(server, ORDINARY) as other:
        ordinary = await other.says(code)

    assert forked == ordinary


async def test_it_asks_its_user_prints_much_and_speaks_with_widgets(warm: Kernel) -> None:
    warm.typed = "Ada"
    asked = await warm.says("print('Hello', input('name? '))")
    much = await warm.says("print('x' * 500_000)")
    await warm.run(
        "def opened(comm, message): comm.send({'echo': message['content']['data']})\n"
        "get_ipython().kernel.comm_manager.register_target('echo', opened)"
    )
    await warm.send("comm_open", {"comm_id": "c", "target_name": "echo", "data": {"a": 1}})
    await warm.says("print(1)")
    echoes = [message["content"]["data"] for message in warm.others if message["msg_type"] == "comm_msg"]

    assert asked.endswith("Hello Ada")
    assert len(much) == 500_000
    assert echoes == [{"echo": {"a": 1}}]


async def test_what_a_program_in_it_prints_by_itself_is_shown(warm: Kernel) -> None:
    assert "from below" in await warm.says("import os, time; os.system('echo from below'); time.sleep(0.5)")


async def test_names_are_completed_and_errors_explained(warm: Kernel) -> None:
    completed = await warm.ask("complete_request", {"code": "import numpy; numpy.lina", "cursor_pos": 24})
    failed = await warm.run("1 / 0")

    assert any(match.endswith("linalg") for match in completed["matches"])
    assert failed.error == "ZeroDivisionError"


async def test_the_debugger_stops_at_a_breakpoint(warm: Kernel) -> None:
    async def debug(command: str, seq: int, **arguments: object) -> dict[str, object]:
        request = {"type": "request", "command": command, "seq": seq, "arguments": arguments}
        return await warm.ask("debug_request", request, channel="control")

    code = "a = 1\nb = a + 1\nb"
    begun = await debug(
        "initialize",
        1,
        clientID="t",
        adapterID="",
        pathFormat="path",
        linesStartAt1=True,
        columnsStartAt1=True,
        supportsVariableType=True,
        locale="en",
    )
    assert begun["success"], begun
    assert (await debug("attach", 2))["success"]
    dumped = await debug("dumpCell", 3, code=code)
    body = dumped["body"]
    assert isinstance(body, dict)
    set_ = await debug(
        "setBreakpoints", 4, breakpoints=[{"line": 2}], source={"path": body["sourcePath"]}, sourceModified=False
    )
    assert set_["success"], set_
    assert (await debug("configurationDone", 5))["success"]

    number = await warm.begin(code)
    stopped = await eventually(lambda: _stopped(warm))
    await debug("continue", 6, threadId=stopped["body"]["threadId"])
    outcome = await warm.outcome_of(number)
    await debug("disconnect", 7, restart=False, terminateDebuggee=False)

    assert stopped["body"]["reason"] == "breakpoint"
    assert outcome.shown[-1]["text/plain"] == "2"


async def _stopped(warm: Kernel) -> dict[str, dict[str, object]] | None:
    await warm.ask(
        "debug_request", {"type": "request", "command": "debugInfo", "seq": 99, "arguments": {}}, channel="control"
    )
    events = [message["content"] for message in warm.others if message["msg_type"] == "debug_event"]
    return next((event for event in events if event["event"] == "stopped"), None)


async def test_users_own_startup_files_and_settings_count(server: Launched) -> None:
    folder = home_of(server) / ".ipython" / "profile_default"
    (folder / "startup").mkdir(parents=True, exist_ok=True)
    (folder / "startup" / "own.py").write_text("from_startup = 42")
    (folder / "ipython_kernel_config.py").write_text("get_config().InteractiveShell.cache_size = 1234")
    own = os.stat(folder.parent.parent).st_uid  # noqa: PTH116
    for path in (folder.parent, *folder.parent.rglob("*")):
        os.chown(path, own, -1)
    try:
        async with kernel(server) as started:
            found = await started.says("print(from_startup, get_ipython().cache_size)")
    finally:
        (folder / "startup" / "own.py").unlink()
        (folder / "ipython_kernel_config.py").unlink()

    assert found == "42 1234"


async def test_other_kernels_and_other_variables_take_an_interpreter_of_their_own(
    launcher: LauncherProcess, server: Launched
) -> None:
    add_kernelspec(
        server, "flagged", argv=["python", "-X", "dev", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    )
    add_kernelspec(server, "hashed", env={"PYTHONHASHSEED": "0"})
    found = []
    for name in ("flagged", "hashed"):
        async with kernel(server, name) as started:
            process = await started.process()
            found.append((process.ppid(), is_forked(process, launcher.pid), process.uids().real))

    assert found == [(main_process(server), False, psutil.Process(server.pid).uids().real)] * 2
