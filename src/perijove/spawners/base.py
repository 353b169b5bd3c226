"""
The public contract of spawners: what the hub calls, and what an administrator configures.

One object per server, made anew whenever the hub needs one: it keeps nothing in memory that it cannot
find again from the handle. The traits have the names and meanings of JupyterHub's; there is none that
does nothing. `testing.SpawnerContract` is the suite that every implementation passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol

from traitlets import Any as AnyTrait
from traitlets import Bool, CaselessStrEnum, Dict, Enum, Float, Integer, List, Unicode, Union
from traitlets import Callable as CallableTrait
from traitlets.config import Configurable

from perijove.config.amounts import ByteSpecification
from perijove.kit.hooks import settled
from perijove.spawners import options, overrides
from perijove.spawners.values import NOBODY, BackendSettings, Handle, Progress, Running, SpawnerUser, SpawnRequest
from perijove.wire import environment as names
from perijove.wire.launcher import ExitReport

#: Commands that sign visitors in by OAuth: jupyterhub-singleuser, jupyter-labhub, batchspawner-singleuser,
#: start-singleuser.sh and what wraps them. Ours has the word in its module's name, too.
_SIGNS_IN: Final = re.compile(r"(?<!perijove\.)(?<!perijove-)singleuser|labhub")


class Backend(Protocol):
    """What all spawners of one class share: a connection, a client, a pool."""

    #: the hub's own environment
    environment: Mapping[str, str]

    def watch(self) -> AsyncIterator[ExitReport]:
        """Servers that ended, as they end, for as long as somebody iterates; may never yield."""
        ...


class NoBackend:
    """For spawners that share nothing: no environment to keep from, and exits are found by polling."""

    environment: Mapping[str, str] = MappingProxyType({})

    async def watch(self) -> AsyncIterator[ExitReport]:
        """Nothing, for ever."""
        await asyncio.Event().wait()
        # Makes this a generator; never reached.
        yield ExitReport(key="", generation=0, reason="unknown", status=-1, message="", asked=False)


class Spawner(Configurable):
    """
    Starts, finds, watches and stops one server of one user.

    Args:
        user: whose server it is.
        server_name: empty for the default server.
        backend: what `open_backend` gave. Without one (and a user) it only shows its configuration.
        user_options: what the user chose on the start page.
    """

    cmd = List(
        Unicode(),
        help="Command that starts the server; empty: fork the warm template, in a tenth of a second.",
    ).tag(config=True)
    args = List(Unicode(), help="Arguments after the command.").tag(config=True)
    environment = Dict(
        help="Variables for the server, over all others; a value may be a callable that is given the spawner."
    ).tag(config=True)
    env_keep = List(
        Unicode(), default_value=["LANG", "LC_ALL", "TZ"], help="Variables of the hub that servers inherit."
    ).tag(config=True)
    default_url = Unicode(help="Page to open, for instance /tree; {username} is replaced.").tag(config=True)
    notebook_dir = Unicode(help="Directory the file browser begins at; ~ and {username} are replaced.").tag(config=True)
    disable_user_config = Bool(False, help="Ignore configuration below the user's home.").tag(config=True)
    debug = Bool(False, help="Log at debug level in the server.").tag(config=True)
    start_timeout = Integer(60, help="Seconds until start() must have returned.").tag(config=True)
    http_timeout = Integer(30, help="Seconds after that until the server must answer.").tag(config=True)
    consecutive_failure_limit = Integer(
        5,
        min=0,
        help="When starts of so many people in a row have failed with the same profile or image, further ones like "
        "them are refused for a moment; 0: never. The hub goes on.",
    ).tag(config=True)
    poll_interval = Float(30.0, help="Seconds between two looks at a running server.").tag(config=True)
    mem_limit = ByteSpecification(None, allow_none=True, help="Most memory of a server, for instance '2G'.").tag(
        config=True
    )
    cpu_limit = Float(None, allow_none=True, help="Most cores of a server.").tag(config=True)
    mem_guarantee = ByteSpecification(
        None, allow_none=True, help="Memory that a server gets whatever others use, for instance '500M'."
    ).tag(config=True)
    cpu_guarantee = Float(None, allow_none=True, help="Cores that a server gets whatever others use.").tag(config=True)
    group_overrides = Union(
        [Dict(), CallableTrait()],
        default_value={},
        help="Traits by group: {key: {'groups': […], 'spawner_override': {trait: value}}}, applied in the order of the "
        "keys to members of any of these groups; or a callable that is given the spawner and answers that.",
    ).tag(config=True)
    options_form = Union(
        [Unicode(), CallableTrait()],
        default_value="",
        help="HTML of the fields of a form that is shown before a start, or a callable that is given the spawner and "
        "answers it; may be a coroutine. Empty: a start asks for nothing.",
    ).tag(config=True)
    options_from_form = Union(
        [Enum(sorted(options.NAMED)), CallableTrait()],
        default_value="passthrough",
        help="What the form comes to: 'passthrough' (every field is a list), 'simple' (single values), or a callable "
        "that is given the fields (and `spawner`, if it takes that) and answers the user's options.",
    ).tag(config=True)
    apply_user_options = Union(
        [Dict(), CallableTrait()],
        default_value=None,
        allow_none=True,
        help="What options do: a dictionary of option → trait, or a callable that is given spawner and options.",
    ).tag(config=True)
    progress_ready_hook = AnyTrait(
        None, help="Called with the spawner and the last event of a start; answers the event that is sent instead."
    ).tag(config=True)
    auth_state_hook = AnyTrait(
        None,
        help="Called with the spawner and the user's auth state (None: there is none) before the start; may be a "
        "coroutine. See Authenticator.enable_auth_state.",
    ).tag(config=True)
    route_access = CaselessStrEnum(
        ["auto", "gated", "open"],
        "auto",
        help="Who lets visitors in: `gated`, the proxy, before anything reaches the server; `open`, the server itself, "
        "by OAuth with the hub. `auto`: open if the command is a jupyterhub-singleuser, else gated.",
    ).tag(config=True)
    oauth_client_allowed_scopes = Union(
        [CallableTrait(), List(Unicode())],
        default_value=[],
        help="What a server that signs visitors in itself may be allowed to do for them, besides knowing who they "
        "are; also what it asks for. A list of scopes, or a callable that is given the spawner.",
    ).tag(config=True)
    server_token_scopes = Union(
        [CallableTrait(), List(Unicode())],
        default_value=[],
        help="What the server's own token may do, less than its owner may; users:activity!user is always in it. A "
        "list of scopes, or a callable that is given the spawner. Default: the role server.",
    ).tag(config=True)
    pre_spawn_hook = AnyTrait(None, help="Called with the spawner before the start; may be a coroutine.").tag(
        config=True
    )
    post_stop_hook = AnyTrait(None, help="Called with the spawner after the stop; may be a coroutine.").tag(config=True)

    def __init__(
        self,
        *,
        user: SpawnerUser = NOBODY,
        server_name: str = "",
        backend: Backend | None = None,
        user_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.user = user
        self.server_name = server_name
        self.backend: Backend = backend or NoBackend()
        self.user_options = dict(user_options or {})

    @classmethod
    def open_backend(
        cls,
        settings: BackendSettings,  # noqa: ARG003  # for subclasses
    ) -> contextlib.AbstractAsyncContextManager[Backend]:
        """What all spawners of this class share, open while the hub runs."""
        return contextlib.nullcontext(NoBackend())

    @classmethod
    def place(
        cls,
        settings: BackendSettings,  # noqa: ARG003  # for subclasses
    ) -> str:
        """
        Where the servers of this class run, if only hubs at the same place can see them; empty: every hub can.

        A hub at another place would take them for gone, so it does not start while others run over its database.
        """
        return ""

    @property
    def name(self) -> str:
        """Name of the server, as JupyterHub's hooks know it."""
        return self.server_name

    @property
    def does_own_sign_in(self) -> bool:
        """
        Whether the server signs its visitors in itself, so that its route is open.

        A command that nobody knows is gated: it may be a program that asks nobody who they are.
        """
        if self.route_access == "auto":
            return _SIGNS_IN.search(" ".join(self.cmd)) is not None
        return bool(self.route_access == "open")

    def unenforceable(self) -> Mapping[str, str]:
        """Traits that are set but can be honoured nowhere, and why: such a configuration stops the start."""
        return {**overrides.contradictions(self), **overrides.mistakes(self, self.group_overrides)}

    async def unenforceable_here(self) -> Mapping[str, str]:
        """
        Traits that are set but cannot be honoured by this backend, and why: such a configuration stops the hub.

        Asked once, of a spawner that is nobody's, when the backend is open.

        Raises:
            BackendUnreachable: it cannot be asked.
        """
        return {}

    async def warnings_here(self) -> Sequence[str]:
        """
        Sentences for administrators about where servers run: what does not keep people apart, what cannot be held.

        Raises:
            BackendUnreachable: it cannot be asked.
        """
        return ()

    async def start(self, request: SpawnRequest) -> Running:
        """
        Start the server, or find the one that this generation has already.

        Raises:
            SpawnRefused: it cannot be started so.
            SpawnFailed: it did not start.
            BackendUnreachable: nothing is known; `find` will tell.
        """
        raise NotImplementedError

    async def find(self, request: SpawnRequest) -> Running | None:
        """The server of this very generation, if it has been started and runs."""
        raise NotImplementedError

    async def poll(self, handle: Handle) -> ExitReport | None:
        """None while the server runs; else how it ended."""
        raise NotImplementedError

    async def stop(self, handle: Handle, *, now: bool = False) -> None:
        """
        End the server and everything it started; return when it is gone. Stopping what is gone is no error.

        Args:
            handle: of the server.
            now: do not wait for it to end by itself.

        Raises:
            StopTimedOut: it is still there.
        """
        raise NotImplementedError

    async def abandon(self, request: SpawnRequest) -> None:
        """
        End a start whose handle nobody has: what it has made is gone when this returns, and nothing comes later.

        A hub that died, or that no longer waits, may have left a start under way. Backends that go on by themselves
        must override this and see to it that a start of this generation cannot come to pass any more.

        Raises:
            StopTimedOut: it is still there.
        """
        running = await self.find(request)
        if running is not None:
            await self.stop(running.handle)

    async def progress(self) -> AsyncIterator[Progress]:
        """Steps of the start under way."""
        yield Progress(percent=50, message="Starting your server…")

    async def make_options_form(self) -> str:
        """The HTML of the fields of the form; empty: there is none."""
        form = self.options_form
        return str(await settled(form(self)) or "") if callable(form) else str(form)

    async def read_options(self, form: Mapping[str, Sequence[Any]]) -> Mapping[str, Any]:
        """The options that a posted form, or an address, comes to. Raises SpawnRefused."""
        return await options.options_of(self, self.options_from_form, form)

    async def use_groups(self) -> None:
        """Do what the groups of the user ask for. Raises SpawnRefused."""
        await overrides.apply(self, self.group_overrides, self.user.groups)

    async def use_options(self) -> None:
        """Do what the user's options ask for. Raises SpawnRefused."""
        await options.apply(self, self.apply_user_options, self.user_options)

    async def make_ready_event(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """The last event of a start, as the administrator wants it sent."""
        if self.progress_ready_hook is None:
            return event
        answer = await settled(self.progress_ready_hook(self, dict(event)))
        return answer if isinstance(answer, Mapping) else event

    async def run_auth_state_hook(self, auth_state: Mapping[str, Any] | None) -> None:
        """Call the administrator's hook with what the sign-in method remembers of the user."""
        await _call(self.auth_state_hook, self, auth_state)

    async def run_pre_spawn_hook(self) -> None:
        """Call the administrator's hook before a start."""
        await _call(self.pre_spawn_hook, self)

    async def run_post_stop_hook(self) -> None:
        """Call the administrator's hook after a stop."""
        await _call(self.post_stop_hook, self)

    def server_environment(self, request: SpawnRequest) -> dict[str, str]:
        """The server's variables: kept ones, the hub's, our traits', the administrator's (contract a)."""
        kept = {name: self.backend.environment[name] for name in self.env_keep if name in self.backend.environment}
        return {**kept, **request.environment, **self._trait_variables(), **self._configured_variables()}

    def _trait_variables(self) -> dict[str, str]:
        variables = {
            names.DEFAULT_URL: self._filled(self.default_url),
            names.ROOT_DIR: self._filled(self.notebook_dir),
            names.DEBUG: "1" if self.debug else "",
            names.DISABLE_USER_CONFIG: "1" if self.disable_user_config else "",
            "MEM_LIMIT": "" if self.mem_limit is None else str(self.mem_limit),
            "MEM_GUARANTEE": "" if self.mem_guarantee is None else str(self.mem_guarantee),
            "CPU_LIMIT": "" if self.cpu_limit is None else str(self.cpu_limit),
            "CPU_GUARANTEE": "" if self.cpu_guarantee is None else str(self.cpu_guarantee),
        }
        return {name: value for name, value in variables.items() if value}

    def _configured_variables(self) -> dict[str, str]:
        values = {name: value(self) if callable(value) else value for name, value in self.environment.items()}
        return {str(name): str(value) for name, value in values.items() if value is not None}

    def _filled(self, template: str) -> str:
        return template.replace("{username}", self.user.name).replace("{servername}", self.server_name)


async def _call(hook: Callable[..., Any] | None, *given: Any) -> None:
    if hook is not None:
        await settled(hook(*given))
