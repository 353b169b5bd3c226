"""
Keeps the services running that the configuration has the hub run: started, watched, started again with growing pauses.

They outlive a hub that is restarted, and are the deployment's, not one hub's: `domain/managed_services.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import structlog

from perijove.hub.domain.errors import LaunchFailed, Unavailable
from perijove.hub.domain.managed_services import ManagedService, Run, fingerprint_of, next_pause
from perijove.hub.ports import Exit, Prober, ServiceProcesses, Store
from perijove.hub.usecases.service_environment import ServiceEnvironment
from perijove.hub.usecases.until_there import until_there
from perijove.kit.clock import Clock
from perijove.kit.tasks import TaskGroup

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

#: seconds between looks whether a service still runs
LOOK_SECONDS: Final = 1.0


class KeepServices:
    """`run` looks after all of them until it is cancelled, and leaves them running; `stop` ends them."""

    def __init__(
        self,
        *,
        store: Store,
        processes: ServiceProcesses,
        prober: Prober,
        clock: Clock,
        environment: ServiceEnvironment,
        services: Sequence[ManagedService],
    ) -> None:
        self._store = store
        self._processes = processes
        self._prober = prober
        self._clock = clock
        self._environment = environment
        self._services = tuple(services)
        self._changed = asyncio.Event()

    def adopt(self, services: Sequence[ManagedService], environment: ServiceEnvironment) -> None:
        """Look after these from now on."""
        self._services, self._environment = tuple(services), environment
        self._changed.set()

    async def run(self) -> None:
        """Look after them until cancelled."""
        while True:
            self._changed.clear()
            async with TaskGroup("services") as tasks:
                tasks.start("removed services", _patiently(self._end_all_but, {each.name for each in self._services}))
                for service in self._services:
                    tasks.start(f"service {service.name}", self._keep(service, tasks))
                # Then all of this anew: those that have not changed are found running.
                await self._changed.wait()

    async def stop(self) -> None:
        """End all of them, because the whole deployment is being stopped."""
        self.adopt((), self._environment)
        try:
            await self._end_all_but(())
        except Unavailable as exc:
            log.warning("services.left_running", why=exc.message)

    async def _keep(self, service: ManagedService, tasks: TaskGroup) -> None:
        pause = 0.0
        run = await _patiently(self._claim, service)
        while True:
            began = self._clock.monotonic()
            exit_ = await self._see_through(service, run, tasks)
            pause = next_pause(pause, self._clock.monotonic() - began)
            log.warning("service.exited", service=service.name, why=exit_.message, again_in=pause)
            await asyncio.sleep(pause)
            run = await _patiently(self._next, service, run)

    async def _see_through(self, service: ManagedService, run: Run, tasks: TaskGroup) -> Exit:
        """Start a run, unless it has been, and wait for its end."""
        variables = self._environment.make(service)
        try:
            await _patiently(self._processes.start, service, run.generation, variables)
        except LaunchFailed as exc:
            return Exit(message=exc.message)
        answers = tasks.start(f"start of service {service.name}", self._look_for_answers(service))
        try:
            while True:
                exit_ = await _patiently(self._processes.poll, service.name, run.generation)
                if exit_ is not None:
                    return exit_
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            answers.cancel()

    async def _look_for_answers(self, service: ManagedService) -> None:
        if service.url and not await self._prober.wait_until_answers(
            service.url, self._environment.prefix(service.name), timeout=service.timeout
        ):
            log.warning("service.silent", service=service.name, url=service.url, seconds=service.timeout)

    # -- which run --------------------------------------------------------------------------------------------

    async def _claim(self, service: ManagedService) -> Run:
        """The run that is under way, if it is of this very declaration; else a new one, after the other's end."""
        async with self._store.unit() as unit:
            fact = _fact(service)
            await unit.alone(fact)
            run = Run.from_text(await unit.facts.get(fact))
            if run is not None and run.fingerprint == self._fingerprint(service):
                return run
            new = self._after(run, service)
            await unit.facts.put(fact, new.to_text())
        if run is not None:
            await self._processes.end(service.name, run.generation)
        return new

    async def _next(self, service: ManagedService, run: Run) -> Run:
        """The run after one that has ended; if another hub has begun one already, that."""
        async with self._store.unit() as unit:
            fact = _fact(service)
            await unit.alone(fact)
            stored = Run.from_text(await unit.facts.get(fact))
            if stored is not None and stored.generation > run.generation:
                return stored
            new = self._after(run, service)
            await unit.facts.put(fact, new.to_text())
        return new

    def _after(self, run: Run | None, service: ManagedService) -> Run:
        # By the clock, so that the generations go on growing over a database that was put back to an older state.
        now = int(self._clock.now().timestamp() * 1000)
        generation = now if run is None else max(now, run.generation + 1)
        return Run(generation=generation, fingerprint=self._fingerprint(service))

    def _fingerprint(self, service: ManagedService) -> str:
        return fingerprint_of(service, self._environment.make(service))

    async def _end_all_but(self, kept: Sequence[str] | set[str]) -> None:
        for name, generation in (await self._processes.running()).items():
            if name not in kept:
                log.info("service.stopping", service=name)
                await self._processes.end(name, generation)


async def _patiently(work: Callable[..., Awaitable[Answer]], *arguments: object) -> Answer:
    return await until_there("services", partial(work, *arguments))


def _fact(service: ManagedService) -> str:
    return f"service {service.name}"
