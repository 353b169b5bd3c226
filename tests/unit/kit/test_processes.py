from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from perijove.kit.processes import (
    ProcessStat,
    children,
    ending,
    family,
    is_alive,
    kill,
    owner,
    parse_stat,
    start_time,
    stat,
    words,
)


def process(pid: int, parent: int, session: int) -> ProcessStat:
    return ProcessStat(pid=pid, parent=parent, session=session, state="S", start_time=pid)


def test_a_command_name_may_hold_parentheses_and_spaces() -> None:
    fields = " ".join(["S", "7", "7", "5", *("0" for _ in range(15)), "123456", "0"])

    found = parse_stat(f"42 (a) b (c) {fields}")

    assert (found.pid, found.parent, found.session, found.state) == (42, 7, 5, "S")
    assert found.start_time == 123456


def test_a_family_is_descendants_and_their_sessions() -> None:
    """
    A kernel leads its own session; what it started belongs to it after its parent is gone.
    """
    everyone = [
        process(1, 0, 1),
        process(10, 1, 10),  # the server
        process(11, 10, 11),  # its kernel, in a session of its own
        process(12, 1, 11),  # started by the kernel, orphaned since
        process(13, 12, 13),  # and what that started
        process(20, 1, 20),  # somebody else's
    ]

    assert family(10, everyone) == {11, 12, 13}


def test_this_process_is_known() -> None:
    pid = os.getpid()
    found = stat(pid)

    assert found is not None
    assert (found.parent, owner(pid)) == (os.getppid(), os.geteuid())
    assert is_alive(pid, start_time(pid))
    assert not is_alive(pid, start_time(pid) + 1)
    assert pid in children(os.getppid())
    assert words(pid)[0]
    assert kill(pid, signal.SIGCONT)


def test_of_a_process_that_is_not_there_nothing_is_known() -> None:
    nobody = int(Path("/proc/sys/kernel/pid_max").read_text()) + 1

    assert (stat(nobody), owner(nobody), start_time(nobody)) == (None, None, 0)
    assert (children(nobody), words(nobody)) == ([], [])
    assert not kill(nobody, signal.SIGKILL)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "It ended with exit code 0."),
        (3, "It ended with exit code 3."),
        (-9, "It was ended by signal SIGKILL."),
        (-35, "It was ended by signal 35."),
    ],
)
def test_an_ending_is_said_with_the_name_of_its_signal_if_that_has_one(code: int, said: str) -> None:
    assert ending(code) == said
