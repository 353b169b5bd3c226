from __future__ import annotations

import signal
from typing import Any

import pytest

from perijove.kit.cgroups import Memory
from perijove.launcher.reasons import Facts, why

MB = 2**20
KILLED = -signal.SIGKILL


def memory(**changes: Any) -> Memory:
    return Memory(**{"used": 3 * MB, "limit": 512 * MB, "peak": 512 * MB, "kills": 1, **changes})


def test_an_exit_code_is_told() -> None:
    reason = why(Facts(code=3))

    assert (reason.reason, reason.status, reason.message) == ("exit", 3, "It ended with exit code 3.")


@pytest.mark.parametrize(("number", "name"), [(11, "SIGSEGV"), (9, "SIGKILL"), (63, "63")])
def test_a_signal_is_told_by_its_name(number: int, name: str) -> None:
    reason = why(Facts(code=-number))

    assert (reason.reason, reason.status) == ("signal", number)
    assert reason.message == f"It was ended by signal {name}."


def test_an_end_that_nobody_saw_is_unknown() -> None:
    assert (why(Facts(code=None)).reason, why(Facts(code=None)).status) == ("unknown", -1)


def test_running_out_of_memory_tells_how_much_and_which_limit() -> None:
    reason = why(Facts(code=KILLED, memory=memory()))

    assert (reason.reason, reason.status) == ("oom", 9)
    assert reason.message == "The server was killed because it ran out of memory: 512 MB of 512 MB were in use."


def test_a_kernel_is_called_a_kernel() -> None:
    assert why(Facts(code=KILLED, what="kernel", memory=memory())).message.startswith("The kernel was killed")


def test_when_all_servers_together_run_out_nobody_is_told_of_a_limit_of_their_own() -> None:
    everyone = Memory(used=9, limit=4096 * MB)
    reason = why(Facts(code=KILLED, memory=memory(peak=300 * MB), memory_of_all=everyone))

    assert reason.reason == "oom"
    assert "all servers together ran out of memory: of 4 GB, this one's used 300 MB" in reason.message


def test_when_the_machine_runs_out_that_is_said() -> None:
    reason = why(Facts(code=KILLED, memory=memory(limit=None)))

    assert reason.message == "The server was killed because this machine ran out of memory; it used 512 MB at most."


def test_a_kill_by_hand_is_not_for_memory() -> None:
    assert why(Facts(code=KILLED, memory=memory(kills=0))).reason == "signal"


def test_a_kernel_that_was_killed_before_does_not_explain_a_kill_by_hand() -> None:
    assert why(Facts(code=KILLED, memory=memory(kills=2), kills_before=2)).reason == "signal"


def test_a_server_that_ends_by_itself_after_its_kernel_was_killed_was_not_killed() -> None:
    assert why(Facts(code=1, memory=memory())).reason == "exit"


def test_the_group_tells_of_an_end_that_nobody_saw() -> None:
    assert why(Facts(code=None, memory=memory())).reason == "oom"


def test_a_full_disk_is_told_with_its_name() -> None:
    reason = why(Facts(code=1, full=("your home",)))

    assert (reason.reason, reason.status) == ("disk_full", 1)
    assert reason.message == "There is no space left in your home, and it ended with exit code 1."


@pytest.mark.parametrize(
    "words", ["OSError: [Errno 28] No space left on device", "[Errno 122] Disk quota exceeded: 'x'"]
)
def test_a_full_disk_is_found_in_the_last_lines_of_the_log(words: str) -> None:
    assert why(Facts(code=1, log_tail=("starting", words, "bye"))).reason == "disk_full"


def test_a_full_disk_long_ago_is_not_why_it_ended() -> None:
    lines = ("No space left on device", *["going on"] * 20)

    assert why(Facts(code=1, log_tail=lines)).reason == "exit"


def test_an_end_in_order_has_nothing_to_do_with_full_disks() -> None:
    assert why(Facts(code=0, full=("your home",))).reason == "exit"
