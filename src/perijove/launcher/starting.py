"""
How a server is started: its place made, its socket bound, a child forked, recorded, and let go, in this order.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from perijove.kit.clock import Clock, Randomness
from perijove.launcher import logfiles
from perijove.launcher.accounts import Account
from perijove.launcher.environment import server_environment
from perijove.launcher.errors import TemplateLost
from perijove.launcher.layout import Layout
from perijove.launcher.plan import ERRORS, GATE, LISTENING, OUTPUT, ChildPlan
from perijove.launcher.reaper import Reaper
from perijove.launcher.records import Record, Records
from perijove.launcher.server import Server
from perijove.launcher.sockets import bind, free_port
from perijove.launcher.surroundings import Surroundings
from perijove.launcher.templates import Forked, Template
from perijove.launcher.walls import Walls
from perijove.wire.launcher import Launched, LaunchRequest


class Starter:
    """Starts servers; forgets them at once (servers.py does not)."""

    def __init__(
        self,
        *,
        layout: Layout,
        template: Template,
        records: Records,
        reaper: Reaper,
        clock: Clock,
        randomness: Randomness,
        surroundings: Surroundings,
    ) -> None:
        self._layout = layout
        self._template = template
        self._records = records
        self._reaper = reaper
        self._clock = clock
        self._randomness = randomness
        self._surroundings = surroundings

    async def start(self, request: LaunchRequest, account: Account) -> Server:
        """
        Start the server of *request* as *account*.

        Raises:
            LaunchFailed: it cannot be forked.
            OSError: a socket, log or record cannot be made.
        """
        try:
            return await self._start(request, account)
        except TemplateLost:
            # A child that it may have forked waits for a byte that never comes, and ends.
            return await self._start(request, account)

    async def _start(self, request: LaunchRequest, account: Account) -> Server:
        directory = self._layout.make_server_directory(request.key)
        runtime = self._layout.make_user_runtime(account.name, uid=account.uid, gid=account.gid)
        path = self._layout.socket(request.key)
        marker = self._randomness.hex(16)
        port = free_port() if request.own_port and request.argv else 0
        environment = server_environment(request, account, runtime=runtime, socket=path, marker=marker, port=port)
        walls = self._surroundings.walls(account, runtime=runtime) if request.walled else None
        log_path = self._layout.log(request.key)
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(bind(path, gid=self._layout.socket_gid))
            log_fd = logfiles.open_fresh(log_path)
            stack.callback(os.close, log_fd)
            gate, opener = os.pipe()
            stack.callback(os.close, gate)
            stack.callback(os.close, opener)
            forked = await self._template.fork(
                self._plan(request, account, environment, walls),
                {OUTPUT: log_fd, ERRORS: log_fd, LISTENING: listening.fileno(), GATE: gate},
            )
            ended = self._reaper.exit_of(forked.pid)
            launched = self._launched(request, forked, path, log_path, port)
            record = Record(launched=launched, marker=marker)
            self._records.write_running(directory, record)
            os.write(opener, b"1")
        return Server(record=record, ended=ended, has_init=walls is not None and walls.has_own_pids)

    def _plan(
        self, request: LaunchRequest, account: Account, environment: dict[str, str], walls: Walls | None
    ) -> ChildPlan:
        return ChildPlan(
            name=request.key,
            uid=account.uid,
            gid=account.gid,
            groups=account.groups,
            switch_user=self._surroundings.as_root,
            home=account.home,
            directory=request.directory,
            environment=environment,
            app=self._template.app,
            argv=request.argv,
            args=request.args,
            listens=request.listens,
            processes=request.limits.processes,
            open_files=request.limits.open_files,
            walls=walls,
            no_new_privs=self._surroundings.no_new_privs,
        )

    def _launched(self, request: LaunchRequest, forked: Forked, path: Path, log_path: Path, port: int) -> Launched:
        return Launched(
            key=request.key,
            generation=request.generation,
            pid=forked.pid,
            start_time=forked.start_time,
            socket=str(path),
            log=str(log_path),
            launched_at=self._clock.now().timestamp(),
            port=port,
        )
