"""
What the configuration comes to: frozen values that the composition roots hand to their parts.

`traits.py` has the names an administrator writes; `sources.py` makes these of them. No defaults that
depend on the machine are computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where things live on disk (architecture, section 10)."""

    state: Path
    runtime: Path

    @property
    def database(self) -> Path:
        """The default SQLite database."""
        return self.state / "hub" / "perijove.sqlite"

    @property
    def signing_key(self) -> Path:
        """Private key of the identity tokens, 0600."""
        return self.state / "hub" / "signing-key.pem"

    @property
    def cookie_secret(self) -> Path:
        """Secret that CSRF tokens are made with, 0600."""
        return self.state / "hub" / "cookie-secret"

    @property
    def lab_assets(self) -> Path:
        """JupyterLab's static files, compressed ahead of time."""
        return self.state / "hub" / "lab-assets"

    @property
    def route_snapshot(self) -> Path:
        """The proxy's table, read by it at start."""
        return self.state / "proxy" / "routes.json"

    @property
    def tls_certificate(self) -> Path:
        """The proxy's copy of an administrator's certificate and key, in a folder that is not the proxy's."""
        return self.state / "tls" / "certificate.pem"

    @property
    def acme(self) -> Path:
        """Account, key and certificate that the proxy obtains itself."""
        return self.state / "proxy" / "acme"

    @property
    def hub_socket(self) -> Path:
        """Where the proxy reaches the hub."""
        return self.runtime / "hub" / "hub.sock"

    @property
    def control_socket(self) -> Path:
        """Where the hub reaches the proxy's control API."""
        return self.runtime / "proxy" / "control.sock"

    @property
    def launcher_socket(self) -> Path:
        """Where the hub reaches the launcher."""
        return self.runtime / "launcher" / "launcher.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPolicy:
    """How people get in."""

    #: may strangers ask for an account (an administrator approves it)?
    allow_signup: bool = True
    session_days: float = 14.0
    #: failed attempts per account, and per address, within `window_seconds`, before they must wait
    attempts_per_account: int = 10
    attempts_per_address: int = 50
    window_seconds: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPolicy:
    """How servers are started."""

    start_timeout: float = 60.0
    http_timeout: float = 30.0
    #: seconds that a POST waits before it answers 202 (contract d)
    slow_start_seconds: float = 10.0
    slow_stop_seconds: float = 10.0
    #: most starts at once; the rest wait in line
    concurrent_spawn_limit: int = 100
    #: users whose starts with one profile or image fail in a row before such starts pause; 0: never
    consecutive_failure_limit: int = 5
    #: most active servers; 0 is no limit
    active_server_limit: int = 0
    allow_named_servers: bool = False
    #: whether visiting one's own stopped server starts it
    start_by_visit: bool = True
    #: a number, or what answers one for `NamedServerAsker` (usecases/servers.py)
    named_server_limit_per_user: int | Callable[[Any], Any] = 0
    default_url: str = "/lab"
    #: seconds a hub keeps a server to itself without renewing
    lease_seconds: float = 10.0
    #: seconds between two reports of a server about its activity
    activity_seconds: float = 300.0
    #: seconds between two writes of when people, servers and tokens were last active
    activity_resolution: float = 10.0
    #: seconds between checks on all running servers
    poll_seconds: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """Everything the hub is told."""

    #: URL prefix of the whole deployment, with both slashes
    base_url: str = "/"
    #: full public URL, if the administrator states it; fixes scheme and host of full_url fields
    public_url: str = ""
    #: origin of the hub, if users and services have origins below it; empty: all share one
    subdomain_host: str = ""
    #: how names become host names: `idna`, `legacy`, or a function
    subdomain_hook: str | Callable[[str, str, str], Any] = "idna"
    #: addresses of proxies in front of ours, which are nobody's own
    trusted_forwarders: frozenset[str] = frozenset()
    #: URL that servers reach the hub's API with, for instance `http://127.0.0.1:8081/hub/api`
    api_url: str
    #: where it listens for them, when it runs alone
    api_address: tuple[str, int] = ("127.0.0.1", 8081)
    db_url: str = field(repr=False)
    paths: Paths
    #: what this process registers as among the hubs over one database
    hub_name: str = "hub-1"
    #: control APIs of all proxies; none: the one beside this hub, at its socket
    proxy_api_urls: tuple[str, ...] = ()
    #: where proxies reach hubs, in the order of trying; none: this hub's socket
    hub_targets: tuple[str, ...] = ()
    #: proxies of ours that reach the hub over TCP
    proxy_addresses: frozenset[str] = frozenset()
    sign_in: SignInPolicy = field(default_factory=SignInPolicy)
    servers: ServerPolicy = field(default_factory=ServerPolicy)
    #: shared secret of the proxy's control API and of the door's questions
    control_token: str = field(repr=False)
    admin_users: frozenset[str] = frozenset()
    blocked_users: frozenset[str] = frozenset()
    #: declarations as written (contract j); checked by `hub/domain/groups.py` and `hub/domain/idle.py`
    load_groups: Mapping[str, Any] = field(default_factory=dict)
    cull_policies: Sequence[Mapping[str, Any]] = ()
    #: declarations as written (contract f, g); checked by `usecases/load_roles.py`
    load_roles: Sequence[Mapping[str, Any]] = ()
    services: Sequence[Mapping[str, Any]] = ()
    #: seconds between looks whether services answer
    service_check_seconds: float = 60.0
    custom_scopes: Mapping[str, Any] = field(default_factory=dict)
    extra_user_scopes: Sequence[str] = ()
    token_expires_in_max_seconds: int = 0
    #: longest life of a token that an OAuth client is given; 0: as long as the sign-in
    oauth_token_expires_in: int = 0
    #: whether OAuth clients must use PKCE
    oauth_require_pkce: bool = False
    api_page_default_limit: int = 50
    api_page_max_limit: int = 200
    authenticate_prometheus: bool = True
    #: headers that replace or join those of pages and API
    headers: Mapping[str, str] = field(default_factory=dict)
    #: JSON lines that the audit log is copied to; empty: none
    audit_file: str = ""
    #: days that entries of the audit log are kept; 0: for good
    audit_retention_days: float = 0.0
    #: what auth states are sealed with, 32 bytes each, the first of them; none: no auth states are kept
    crypt_keys: tuple[bytes, ...] = field(default=(), repr=False)
    #: stop all servers when the hub ends
    cleanup_servers: bool = False
    #: named server that links for everybody lead into; empty: the default one
    default_server_name: str = ""
    #: called with path, request, user and base URL of such a link
    user_redirect_hook: Callable[..., Any] | None = None
    #: page after sign-in is the user's server rather than the home page
    redirect_to_server: bool = True

    @property
    def hub_prefix(self) -> str:
        """URL prefix of the hub, `/hub/` unless `base_url` says otherwise."""
        return f"{self.base_url}hub/"
