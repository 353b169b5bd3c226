"""
The configured spawner as the use cases see it: `hub.ports.Spawners`.

Makes one spawner object per question, runs the administrator's hooks, and translates errors. A plug-in's
own exception ends the start that it belongs to, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import structlog
from traitlets.config import Config

from perijove.authenticators.base import Authenticator
from perijove.hub.domain.errors import InvalidRequest, LauncherAway, LaunchFailed, StoreAway
from perijove.hub.domain.servers import OWN_SIGN_IN, Server
from perijove.hub.domain.users import User
from perijove.hub.ports import Exit, Running, SpawnPlan
from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.grammar import parse
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.kit.hooks import settled
from perijove.spawners.base import Backend, Spawner
from perijove.spawners.errors import BackendUnreachable, SpawnerError, SpawnRefused, StopTimedOut
from perijove.spawners.values import Handle, SpawnerUser, SpawnRequest
from perijove.wire.launcher import ExitReport

log = structlog.get_logger(__name__)

#: what a user is told when an administrator's hook or a plug-in raises something of its own
#: seconds for which a page waits to hear how things are there
_WARNINGS_SECONDS: Final = 1.0
_PLUGIN_FAILED: Final = "Starting your server failed in a way that only an administrator can look into."


class SpawnerGateway:
    """Starts, finds and ends processes by a spawner plug-in."""

    def __init__(
        self,
        *,
        kind: Callable[..., Spawner],
        config: Config,
        backend: Backend,
        authenticator: Authenticator,
        auth_states: AuthStateBook,
    ) -> None:
        self._authenticator = authenticator
        self._auth_states = auth_states
        self._kind = kind
        self._config = config
        self._backend = backend

    def adopt(self, config: Config, authenticator: Authenticator) -> None:
        """Start servers with these traits from now on."""
        self._config = config
        self._authenticator = authenticator

    async def launch(self, plan: SpawnPlan) -> Running:
        """
        Start the server of *plan*, or find it if this generation has been started.

        Raises:
            LaunchFailed: it could not be started.
            LauncherAway: nothing is known; ask again.
        """
        spawner = self._spawner(plan.server, admin=plan.user.admin, groups=plan.groups)
        request = _request(plan.server, environment=dict(plan.environment))
        state = await self._state_for(spawner, plan.user)
        try:
            # In JupyterHub's order (contract a).
            await self._authenticator.pre_spawn_start(spawner.user, spawner)
            await spawner.run_auth_state_hook(state)
            await spawner.use_groups()
            await spawner.use_options()
            await spawner.run_pre_spawn_hook()
            started = await spawner.start(request)
        except BackendUnreachable as exc:
            raise LauncherAway(str(exc)) from exc
        except SpawnerError as exc:
            raise LaunchFailed(str(exc)) from exc
        except Exception as exc:
            # A plug-in's or hook's own error, at the border to code that is not ours.
            log.exception("spawner.raised", server=plan.server.key)
            raise LaunchFailed(_PLUGIN_FAILED) from exc
        # After the hook, which may have chosen another command.
        marks = {OWN_SIGN_IN: True} if spawner.does_own_sign_in else {}
        return Running(target=started.target, handle={**started.handle, **marks})

    async def poll(self, server: Server) -> Exit | None:
        """
        None while it runs.

        Raises:
            LauncherAway: that cannot be told now.
        """
        handle = await self._handle_of(server)
        if handle is None:
            return Exit(message="It was never started.")
        try:
            report = await self._spawner(server).poll(handle)
        except SpawnerError as exc:
            raise LauncherAway(str(exc)) from exc
        return None if report is None else _exit(report)

    async def terminate(self, server: Server) -> None:
        """
        End it, and answer when it is gone.

        Raises:
            LauncherAway: that cannot be done now, or it is still there.
        """
        spawner = self._spawner(server)
        try:
            if server.handle:
                await spawner.stop(server.handle)
            else:
                await spawner.abandon(_request(server, environment={}))
        except StopTimedOut as exc:
            raise LauncherAway(str(exc)) from exc
        except SpawnerError as exc:
            raise LauncherAway(str(exc)) from exc
        try:
            await self._authenticator.post_spawn_stop(spawner.user, spawner)
            await spawner.run_post_stop_hook()
        except Exception:
            # The administrator's own code; the server is gone whatever it says.
            log.exception("spawner.post_stop_hook_raised", server=server.key)

    async def token_scopes(self, server: Server) -> Sequence[str]:
        """
        The trait `server_token_scopes`, with what a callable there answers.

        Raises:
            LaunchFailed: it names a scope that does not exist, or raises.
        """
        spawner = self._spawner(server)
        try:
            return await _scopes(spawner, spawner.server_token_scopes)
        except BadScope as exc:
            raise LaunchFailed(f"The trait server_token_scopes is wrong: {exc}") from exc
        except Exception as exc:
            # The administrator's own callable.
            log.exception("spawner.raised", server=server.key, trait="server_token_scopes")
            raise LaunchFailed(_PLUGIN_FAILED) from exc

    async def client_scopes(self, server: Server) -> Sequence[str]:
        """The trait `oauth_client_allowed_scopes`, with what a callable there answers; nothing if that fails."""
        spawner = self._spawner(server)
        try:
            return await _scopes(spawner, spawner.oauth_client_allowed_scopes)
        except Exception:
            # The administrator's own callable, or nonsense in the trait: who may do nothing does no harm.
            log.exception("spawner.raised", server=server.key, trait="oauth_client_allowed_scopes")
            return ()

    async def exits(self) -> AsyncIterator[tuple[str, int, Exit]]:
        """Servers that ended, as they end."""
        async for report in self._backend.watch():
            yield report.key, report.generation, _exit(report)

    async def progress(self, server: Server) -> AsyncIterator[tuple[int, str]]:
        """Steps of the start under way."""
        async for step in self._spawner(server).progress():
            yield step.percent, step.message

    async def warnings(self) -> Sequence[str]:
        """What administrators should know of where servers run; nothing if nobody there answers soon."""
        spawner = self._kind(backend=self._backend, config=self._config)
        try:
            async with asyncio.timeout(_WARNINGS_SECONDS):
                return await spawner.warnings_here()
        except (SpawnerError, TimeoutError) as exc:
            log.info("spawner.warnings_unknown", why=str(exc))
            return ()

    @property
    def has_form(self) -> bool:
        """Whether starts ask their users something."""
        return bool(self._kind(backend=self._backend, config=self._config).options_form)

    async def form(self, user: User, server_name: str, options: Mapping[str, Any]) -> str:
        """
        What a start asks, as HTML of the administrator's; empty: nothing.

        Raises:
            LaunchFailed: the administrator's own code does not say.
        """
        try:
            return await self._of(user, server_name, options).make_options_form()
        except Exception as exc:
            # The administrator's own code.
            log.exception("spawner.options_form_raised", user=user.name)
            raise LaunchFailed(_PLUGIN_FAILED) from exc

    async def read(self, user: User, server_name: str, form: Mapping[str, Sequence[Any]]) -> Mapping[str, Any]:
        """
        The options that the fields of a form come to.

        Raises:
            InvalidRequest: they are wrong.
            LaunchFailed: the administrator's own code fails.
        """
        try:
            return await self._of(user, server_name, {}).read_options(form)
        except SpawnRefused as exc:
            raise InvalidRequest(str(exc)) from exc
        except Exception as exc:
            # The administrator's own code.
            log.exception("spawner.options_from_form_raised", user=user.name)
            raise LaunchFailed(_PLUGIN_FAILED) from exc

    async def ready_event(self, server: Server, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """The last event of a start, as the administrator wants it sent."""
        try:
            return await self._spawner(server).make_ready_event(event)
        except Exception:
            # The administrator's own code: the server is ready whatever it says.
            log.exception("spawner.progress_ready_hook_raised", server=server.key)
            return event

    def _of(self, user: User, server_name: str, options: Mapping[str, Any]) -> Spawner:
        return self._kind(
            user=SpawnerUser(name=user.name, admin=user.admin),
            server_name=server_name,
            backend=self._backend,
            user_options=options,
            config=self._config,
        )

    async def _handle_of(self, server: Server) -> Handle | None:
        """Its handle; for a start that was never recorded, what the spawner finds of this generation."""
        if server.handle:
            return server.handle
        try:
            found = await self._spawner(server).find(_request(server, environment={}))
        except SpawnerError as exc:
            raise LauncherAway(str(exc)) from exc
        return None if found is None else found.handle

    async def _state_for(self, spawner: Spawner, user: User) -> Mapping[str, Any] | None:
        """What the hook is given; not even asked for if there is no hook."""
        if spawner.auth_state_hook is None:
            return None
        try:
            return await self._auth_states.get(user)
        except StoreAway as exc:
            # Nothing has been started yet: ask again.
            raise LauncherAway(exc.message) from exc

    def _spawner(self, server: Server, *, admin: bool = False, groups: tuple[str, ...] = ()) -> Spawner:
        return self._kind(
            user=SpawnerUser(name=server.user_name, admin=admin, groups=groups),
            server_name=server.name,
            backend=self._backend,
            user_options=server.user_options,
            config=self._config,
        )


def _request(server: Server, *, environment: dict[str, str]) -> SpawnRequest:
    return SpawnRequest(
        key=server.key,
        generation=server.generation,
        user=server.user_name,
        server_name=server.name,
        environment=environment,
        user_options=server.user_options,
    )


async def _scopes(spawner: Spawner, trait: Any) -> Sequence[str]:
    value = await settled(trait(spawner) if callable(trait) else trait)
    scopes = tuple(str(scope) for scope in value)
    for scope in scopes:
        parse(scope)
    return scopes


def _exit(report: ExitReport) -> Exit:
    return Exit(message=report.message, log_tail=report.log_tail, asked=report.asked)
