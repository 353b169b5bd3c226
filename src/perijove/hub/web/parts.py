"""
What the web edge is made of: the use cases, the settings and a few values, put together by `hub/app.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, cast

from starlette.requests import Request

from perijove.config.settings import HubSettings
from perijove.hub.domain.origins import Origins
from perijove.hub.domain.principals import Principal
from perijove.hub.ports import SpawnPlace, StartOptions, Store
from perijove.hub.usecases.accounts import ChangePassword, FirstAdmin, Invitations, SignUp
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.audit import AuditLog
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.change_groups import ChangeGroups, ReadGroups
from perijove.hub.usecases.deadlines import Deadlines, KeepServer
from perijove.hub.usecases.door import Door
from perijove.hub.usecases.doorstep import Doorstep
from perijove.hub.usecases.drive_servers import Driver
from perijove.hub.usecases.identify import Identify
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.oauth_provider import OAuthProvider
from perijove.hub.usecases.queue_book import QueueBook
from perijove.hub.usecases.reconcile import Proxies
from perijove.hub.usecases.reload import Reading
from perijove.hub.usecases.servers import ChangeServer, CreateServer, GetServer, RemoveServer, StartServer, StopServer
from perijove.hub.usecases.services import ChangeServices, ServiceDirectory
from perijove.hub.usecases.sessions import Sessions
from perijove.hub.usecases.share_codes import ShareCodes
from perijove.hub.usecases.shares import Shares
from perijove.hub.usecases.sign_in import SignIn
from perijove.hub.usecases.sign_out import SignOut
from perijove.hub.usecases.tokens import Tokens
from perijove.hub.usecases.users import CreateUsers, DeleteUser, GetUser, ListUsers, PatchUser
from perijove.hub.web.handlers import Given
from perijove.hub.web.lab.assets import LabAssets
from perijove.hub.web.metrics import Metrics
from perijove.kit.clock import Clock, Randomness


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What `GET /hub/api/info` tells about the configuration."""

    spawner_class: str
    spawner_version: str
    authenticator_class: str
    authenticator_version: str
    #: whether people have local accounts, so that links, sign-up and passwords make sense
    has_accounts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that a handler may use."""

    settings: HubSettings
    #: where browsers find the hub, servers and services
    origins: Origins
    clock: Clock
    randomness: Randomness
    #: what CSRF tokens are made with
    cookie_secret: bytes
    store: Store
    roles: RoleBook
    identify: Identify
    sign_in: SignIn
    sign_out: SignOut
    sessions: Sessions
    audit: AuditLog
    auth_states: AuthStateBook
    first_admin: FirstAdmin
    invitations: Invitations
    sign_up: SignUp
    change_password: ChangePassword
    create_users: CreateUsers
    get_user: GetUser
    list_users: ListUsers
    delete_user: DeleteUser
    patch_user: PatchUser
    read_groups: ReadGroups
    change_groups: ChangeGroups
    services: ServiceDirectory
    change_services: ChangeServices
    tokens: Tokens
    oauth: OAuthProvider
    start_server: StartServer
    stop_server: StopServer
    get_server: GetServer
    keep_server: KeepServer
    create_server: CreateServer
    change_server: ChangeServer
    remove_server: RemoveServer
    spawn_place: SpawnPlace
    start_options: StartOptions
    shares: Shares
    share_codes: ShareCodes
    driver: Driver
    proxies: Proxies
    queue: QueueBook
    door: Door
    doorstep: Doorstep
    activity: Activity
    deadlines: Deadlines
    about: About
    metrics: Metrics
    #: None if this machine has no JupyterLab
    lab_assets: LabAssets | None
    #: asks the process to end; the arguments are whether to stop the servers and the proxy (None: as configured)
    shut_down: Callable[[bool | None, bool | None], None]
    #: reads the configuration again, here and in all other hubs
    reload: Callable[[Principal | None], Awaitable[Reading[Any]]]


def parts_of(request: Request) -> Parts:
    """The parts of the application that answers *request*."""
    return cast("Parts", request.app.state.parts)


PartsOf = Annotated[Parts, Given(parts_of)]
