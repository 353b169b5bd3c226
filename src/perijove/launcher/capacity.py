"""
What this machine has for servers, whether there is enough for one more, and the group that holds it.
"""

from __future__ import annotations

from typing import Any

import structlog

from perijove.kit.sizes import amount
from perijove.launcher import limits as rules
from perijove.launcher.cgroup_settings import Together
from perijove.launcher.cgroups import ControlGroups
from perijove.launcher.limits import Machine
from perijove.launcher.names import directory_name
from perijove.wire.launcher import Launched, LaunchRequest, Limits

log = structlog.get_logger(__name__)


def group_name(server: Launched | LaunchRequest) -> str:
    """What the group of one run of a server is called: another run begins with counters of its own."""
    return f"{directory_name(server.key)}.{server.generation}"


class Capacity:
    """
    Shares this machine out among servers.

    Args:
        groups: of servers.
        machine: what there is.
        for_all: what all servers may use together.
    """

    def __init__(self, *, groups: ControlGroups, machine: Machine, for_all: Together) -> None:
        self.groups = groups
        self._machine = machine
        self._for_all = for_all

    def hold(self) -> None:
        """Hold all servers together to what they may use."""
        try:
            self.groups.hold_all(self._for_all)
        except OSError as exc:
            # Those of an earlier launcher use more already: a limit below that is refused by the kernel.
            log.error("servers.not_held_together", error=str(exc))  # noqa: TRY400  # a sentence for the operator

    def take(self, request: LaunchRequest) -> tuple[str, ...]:
        """
        Make the group of a server that is to be launched; the files that its process joins it by.

        No await in here: two launches at once must not be promised the same.

        Raises:
            Unenforceable: this machine cannot hold its limits, or has promised what it asks for to others.
            OSError: the kernel does not take it.
        """
        promised = Limits(memory_guarantee=self.groups.promised_memory(), cpu_guarantee=self.groups.promised_cores())
        rules.check(request.limits, self._machine, for_all=self._for_all, promised=promised)
        return self.groups.make(group_name(request), request.limits)

    def own_processes(self, limits: Limits) -> int | None:
        """What a limit on processes is as a resource limit of the child; None where a group holds it."""
        return None if "pids" in self._machine.controllers else limits.processes

    def describe(self) -> dict[str, Any]:
        """What can be held here, and why the rest cannot: a part of the `hello` answer."""
        return {
            "limits": list(rules.enforceable(self._machine)),
            "refused": dict(rules.refused(self._machine)),
            "for_all": {
                "memory": self._for_all.memory,
                "cpu": self._machine.cores,
                "processes": self._for_all.processes,
                "open_files": self._machine.open_files,
            },
        }

    def warnings(self, *, has_walls: bool) -> list[str]:
        """What an administrator should know; walls make the files of groups read-only for servers."""
        cannot = rules.refused(self._machine)
        warnings = []
        if "memory" in cannot or "cpu" in cannot:
            warnings.append(f"Memory and CPU limits cannot be enforced: {_because(next(iter(cannot.values())))}.")
        if self._machine.controllers and not self._machine.as_root and not has_walls:
            warnings.append("Without root, limits hold against accidents; whoever knows how can lift them.")
        return warnings

    def summary(self) -> dict[str, Any]:
        """For a line of the log."""
        memory = self._for_all.memory
        return {
            "cgroups": ",".join(f"v{version}" for version in sorted(self.groups.versions)) or "none",
            "memory_for_servers": "all" if memory is None else amount(memory),
        }


def _because(refusal: str) -> str:
    return refusal.partition(", but ")[2]
