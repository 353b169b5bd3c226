"""
The hub beside JupyterHub's: restart, memory, reads, sign-ins, starts.

    bench/prepare FOLDER && python bench/hub/bench.py FOLDER [--rounds 3] [--write bench/results/hub.md]

Needs `wrk`. Both hubs run at the same time on core 0, load and proxies on core 1, and are asked in turn, round by
round, over HTTP and over TCP, without a proxy in between. `--only` chooses some of the parts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import load
from hubs import HERE, OTHER_CORE, Hub, beside, folder, jupyterhub_hub, perijove_hub
from real import real_starts
from seed import USER_TOKEN, name_of

from deployments import TOKEN, _as_ordinary_user, free_port
from report import machine, publish, table

MANY, VERY_MANY = 10_000, 100_000
#: users with running servers: of the many, and of the very many
RUNNING, VERY_MANY_RUNNING = 500, 5_000
STARTS: Final = 200
SIGN_INS: Final = 200
#: what is asked, with whose token, and what is to be reached
READS: Final = (
    ("`GET /users/{name}`, a service's token", f"/hub/api/users/{name_of(777)}", TOKEN, "≥ 2,500/s"),
    ("`GET /user`, a service's token", "/hub/api/user", TOKEN, "≥ 4,000/s"),
    ("`GET /user`, a user's token", "/hub/api/user", USER_TOKEN, "≥ 4,000/s"),
    (f"`GET /users?state=active&limit=50`, {RUNNING} active", "/hub/api/users?state=active&limit=50", TOKEN, "≥ 800/s"),
)
_REST: Final = 1.0
PAGES: Final = (0, 5_000, 9_800)


@dataclass(slots=True)
class Row:
    """One row of the table."""

    title: str
    unit: str
    to_reach: str
    #: whether more is better
    is_rate: bool = False
    values: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        """One more measurement."""
        self.values.setdefault(name, []).append(value)

    def cells(self, names: Sequence[str]) -> list[str]:
        """The row of the table."""
        medians = [statistics.median(self.values[name]) if name in self.values else None for name in names]
        shown = ["" if median is None else f"{median:,.{_digits(median)}f} {self.unit}" for median in medians]
        ratio = ""
        if len(medians) > 1 and all(medians):
            ours, theirs = medians[0] or 1.0, medians[1] or 1.0
            ratio = f"{ours / theirs if self.is_rate else theirs / ours:.1f}×"
        return [self.title, *shown, ratio, self.to_reach]


def _digits(value: float) -> int:
    return 0 if value >= 100 else 1 if value >= 10 else 2


class Bench:
    """The rows so far."""

    def __init__(self, *, rounds: int, peers: Path | None, python: Path, assets: Path) -> None:
        self.assets = assets
        self.rows: list[Row] = []
        self.rounds = rounds
        self.peers = peers
        self.python = python

    @contextmanager
    def hubs(self, *, users: int, active: int, alone: bool = False) -> Iterator[list[Hub]]:
        """Both hubs, ended, with full databases."""
        with ExitStack() as stack:
            hubs = [stack.enter_context(perijove_hub(python=self.python, assets=self.assets))]
            if self.peers is not None and not alone:
                hubs.append(stack.enter_context(jupyterhub_hub(self.peers)))
            port = free_port()
            words = [sys.executable, str(HERE / "trivial.py"), str(port)]
            stack.enter_context(beside(words, hubs[0].folder, hubs[0].environment, port=port))
            for hub in hubs:
                # The first start makes the tables.
                hub.start()
                hub.wait_for_children()
                hub.kill()
                hub.fill(users, active, port)
            yield hubs

    def row(self, title: str, unit: str, to_reach: str, *, is_rate: bool = False) -> Row:
        """A new row."""
        row = Row(title, unit, to_reach, is_rate)
        self.rows.append(row)
        return row

    # -- the parts --------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Restart and memory with many users; and, ours alone, with very many of whom many have running servers."""
        first = self.row(f"restart to the first 200, {MANY:,} users", "s", "≤ 0.8 s")
        page = self.row(f"restart to the first sign-in page, {MANY:,} users", "s", "")
        memory = self._memory_rows(f"{MANY:,} users, none active")
        with self.hubs(users=MANY, active=0) as hubs:
            for _ in range(self.rounds):
                for hub in hubs:
                    first.note(hub.name, hub.start())
                    time.sleep(5)
                    self._note_memory(memory, hub)
                    hub.kill()
                for hub in hubs:
                    page.note(hub.name, hub.start(path="/hub/login"))
                    hub.kill()
        title = f"{VERY_MANY:,} users, {VERY_MANY_RUNNING:,} running servers"
        first = self.row(f"restart to the first 200, {title}", "s", "the same ± 20 %")
        pause = self.row("longest answer in the ten seconds after that", "ms", "≤ 50 ms")
        memory = self._memory_rows(f"{title}, after their first checks")
        with self.hubs(users=VERY_MANY, active=VERY_MANY_RUNNING, alone=True) as (hub,):
            for _ in range(self.rounds):
                first.note(hub.name, hub.start())
                pause.note(hub.name, load.longest_pause(hub.port, seconds=10) * 1000)
                self._note_memory(memory, hub)
                hub.kill()

    def _memory_rows(self, title: str) -> tuple[Row, Row]:
        return self.row(f"memory (RSS), {title}", "MB", "≤ 90 MB"), self.row(f"memory (PSS), {title}", "MB", "≤ 90 MB")

    def _note_memory(self, rows: tuple[Row, Row], hub: Hub) -> None:
        info = psutil.Process(hub.pid).memory_full_info()
        rows[0].note(hub.name, info.rss / 1e6)
        rows[1].note(hub.name, info.pss / 1e6)

    def reads(self) -> None:
        """Reads a second, and what each costs the hub."""
        rates = [self.row(title, "/s", to_reach, is_rate=True) for title, _, _, to_reach in READS]
        costs = [self.row(f"{title}: CPU", "µs", "") for title, _, _, _ in READS]
        pages = [self.row(f"page of 200 of {MANY:,} users at {offset:,}", "ms", "≤ 8 ms") for offset in PAGES]
        with self.hubs(users=MANY, active=RUNNING) as hubs:
            for hub in hubs:
                hub.start()
            time.sleep(10)
            for _ in range(self.rounds):
                for (_, path, token, _), rate, cost in zip(READS, rates, costs, strict=True):
                    for hub in hubs:
                        # The other one works off what it was asked last, on the same core.
                        time.sleep(_REST)
                        before = _cpu(hub)
                        count, a_second = load.requests(hub.port, path, token, seconds=3)
                        cost.note(hub.name, (_cpu(hub) - before) / count * 1e6)
                        rate.note(hub.name, a_second)
                for offset, row in zip(PAGES, pages, strict=True):
                    for hub in hubs:
                        time.sleep(_REST)
                        path = f"/hub/api/users?offset={offset}&limit=200"
                        row.note(hub.name, load.latency(hub.port, path, TOKEN, count=50) * 1000)

    def sign_ins(self) -> None:
        """Sign-ins a second."""
        row = self.row("sign-ins, form to cookie", "/s", "≥ 5×", is_rate=True)
        with self.hubs(users=MANY, active=0) as hubs:
            for hub in hubs:
                hub.start()
            time.sleep(5)
            for number in range(self.rounds):
                for hub in hubs:
                    row.note(hub.name, load.sign_ins(hub.port, first=1000 + number * SIGN_INS, count=SIGN_INS))

    def starts(self) -> None:
        """Many starts at once of servers that cost nothing."""
        rate = self.row(f"{STARTS} starts at once to all ready, trivial servers", "starts/s", "≥ 10×", is_rate=True)
        failed = self.row("of them failed", "", "0")
        with self.hubs(users=MANY, active=0) as hubs:
            for hub in hubs:
                hub.start()
            time.sleep(5)
            for number in range(self.rounds):
                for hub in hubs:
                    took, missing = load.starts(hub.port, TOKEN, first=1000 + number * STARTS, count=STARTS)
                    rate.note(hub.name, (STARTS - missing) / took)
                    failed.note(hub.name, missing)

    def real(self) -> None:
        """Many starts at once of real notebook servers, each deployment alone and on all cores."""
        row = self.row("50 starts at once to all answering, notebook servers", "starts/s", "≥ 8×", is_rate=True)
        failed = self.row("of them failed, or not there after four minutes", "", "0")
        for name, rate, missing in real_starts(self.peers):
            row.note(name, rate)
            failed.note(name, missing)


def _cpu(hub: Hub) -> float:
    times = psutil.Process(hub.pid).cpu_times()
    return float(times.user + times.system)


PARTS: Final[dict[str, Callable[[Bench], None]]] = {
    "restart": Bench.restart,
    "reads": Bench.reads,
    "sign-ins": Bench.sign_ins,
    "starts": Bench.starts,
    "real": Bench.real,
}


def _run(bench: Bench, names: Sequence[str]) -> None:
    every = os.sched_getaffinity(0)
    for name in names:
        # Whole deployments use all cores.
        os.sched_setaffinity(0, every if name == "real" else {OTHER_CORE})
        PARTS[name](bench)
        print(name, *(row.cells(["perijove", "jupyterhub"]) for row in bench.rows), sep="\n", flush=True)


def _compile(python: Path) -> None:
    """As installers do: the hubs' user may not write into a checkout, and would compile at every start what changed."""
    where = "import compileall, perijove; compileall.compile_dir(perijove.__path__[0], quiet=1)"
    subprocess.run([str(python), "-P", "-c", where], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peers", type=Path, nargs="?", help="folder made by bench/prepare; without it perijove alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="whose perijove it is")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="some of the parts")
    parser.add_argument("--write", type=Path, help="file for the table")
    arguments = parser.parse_args()
    _compile(arguments.python)
    with folder("pj-assets-") as assets:
        _as_ordinary_user(assets)
        bench = Bench(rounds=arguments.rounds, peers=arguments.peers, python=arguments.python, assets=assets)
        _run(bench, arguments.only or list(PARTS))
    names = ["perijove", *(["jupyterhub"] if arguments.peers else [])]
    heads = ["what", *names, *(["ratio"] if arguments.peers else []), "to reach"]
    rows = (row.cells(names) for row in bench.rows)
    lines = [[cell for place, cell in enumerate(row) if arguments.peers or place != 2] for row in rows]
    publish(f"{table(heads, lines)}\n\nMedians of {arguments.rounds} rounds. {machine()}.\n", arguments.write)


if __name__ == "__main__":
    main()
