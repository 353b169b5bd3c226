"""
The names an administrator writes under `c.Perijove`, or with the same names under `c.JupyterHub`.

Names, types and defaults follow contract section j where JupyterHub has the feature. A trait stands
here only if it does something: an option that does nothing would be a lie.
"""

from __future__ import annotations

from logging import Handler
from typing import Any

from traitlets import (
    Bool,
    Bytes,
    Callable,
    CaselessStrEnum,
    Dict,
    Enum,
    Float,
    Instance,
    Int,
    List,
    Set,
    TraitError,
    Type,
    Unicode,
    Union,
    validate,
)
from traitlets.config import Configurable


class Perijove(Configurable):
    """The deployment as a whole."""

    ip = Unicode("127.0.0.1", help="Address the proxy listens on; empty for all interfaces.").tag(config=True)
    port = Int(8000, min=1, max=65535, help="Port the proxy listens on.").tag(config=True)
    bind_url = Unicode(
        "", help="Public URL the proxy listens on, for instance http://:8000/jupyter/; replaces ip, port and base_url."
    ).tag(config=True)
    base_url = Unicode("/", help="URL prefix of the whole deployment; the hub is at base_url + hub/.").tag(config=True)
    public_url = Unicode(
        "", help="Full public URL including base_url, when another proxy stands in front; gives full_url fields."
    ).tag(config=True)
    subdomain_host = Unicode(
        "",
        help="Origin of the hub, https://hub.example[:port], to give every user and service an origin of their own "
        "below it: https://ada.hub.example. Needs DNS and a certificate for *.hub.example.",
    ).tag(config=True)
    subdomain_hook = Union(
        [Enum(["idna", "legacy"]), Callable()],
        default_value="idna",
        help="How names become host names with subdomain_host: 'idna', 'legacy', or a callable that is given name, "
        "domain and kind (user or service) and answers a host name below the domain.",
    ).tag(config=True)
    trusted_forwarders = Set(
        Unicode(),
        help="Addresses of proxies in front of perijove, whose X-Forwarded-For, -Host and -Proto are believed.",
    ).tag(config=True)
    ssl_cert = Unicode(
        "", help="Certificate with its chain, PEM: browsers come by https. Read again on SIGHUP, as ssl_key is."
    ).tag(config=True)
    ssl_key = Unicode(
        "", help="Its key, PEM; only root need be able to read it. Passphrase in $CONFIGPROXY_SSL_KEY_PASSPHRASE."
    ).tag(config=True)
    redirect_port = Int(
        0, min=0, max=65535, help="Port at which plain HTTP is sent on to https, usually 80; 0 is none."
    ).tag(config=True)
    acme_domains = List(
        Unicode(), help="Names for which a certificate is obtained and renewed by ACME, instead of ssl_cert."
    ).tag(config=True)
    acme_email = Unicode("", help="Where the certificate authority writes to; may be empty.").tag(config=True)
    acme_agree_tos = Bool(False, help="Whether you agree to the certificate authority's terms of service.").tag(
        config=True
    )
    acme_server = Unicode("", help="The authority's directory URL. Default: Let's Encrypt's.").tag(config=True)
    acme_ca = Unicode("", help="Authorities of that server's own certificate, PEM. Default: the system's.").tag(
        config=True
    )
    hub_ip = Unicode("127.0.0.1", help="Address at which servers reach the hub's API.").tag(config=True)
    hub_port = Int(8081, min=1, max=65535, help="Port at which servers reach the hub's API.").tag(config=True)
    hubs = Int(1, min=1, max=64, help="Hub processes beside each other; more than one need a PostgreSQL (db_url).").tag(
        config=True
    )
    hub_name = Unicode(
        "",
        help="What hubs started with this configuration are called among all over one database; "
        "each adds its number. Default: this host's name.",
    ).tag(config=True)
    hub_urls = List(
        Unicode(),
        help="Where proxies reach the hubs over one database, if those run on several machines: the same list for "
        "all of them, for instance http://10.0.0.5:8081. Default: the socket of this deployment.",
    ).tag(config=True)
    proxy_api_urls = List(
        Unicode(),
        help="Control APIs of all proxies: http://host:port, https://host:port, http+unix://%2Fpath. Each gets every "
        "route. Default: the proxy of this deployment.",
    ).tag(config=True)
    proxy_addresses = Set(
        Unicode(),
        help="Addresses of perijove's own proxies on other machines: what they tell hubs about browsers is believed.",
    ).tag(config=True)
    hub_connect_url = Unicode(
        "", help="URL at which servers reach the hub, if not http://hub_ip:hub_port; hub/api is appended to it."
    ).tag(config=True)

    state_dir = Unicode(
        "", help="Database, keys, logs. Default: /var/lib/perijove as root, else $XDG_STATE_HOME/perijove."
    ).tag(config=True)
    runtime_dir = Unicode("", help="Sockets. Default: /run/perijove as root, else $XDG_RUNTIME_DIR/perijove.").tag(
        config=True
    )
    db_url = Unicode(
        "",
        help="Database: sqlite:////folder/file.sqlite, or postgresql://user@host/database with the password in "
        "$PERIJOVE_DB_PASSWORD. Default: a SQLite file in state_dir.",
    ).tag(config=True)
    pid_file = Unicode("", help="File that the process id is written to.").tag(config=True)
    hub_user = Unicode("perijove-hub", help="System user that the hub runs as when started by root.").tag(config=True)
    proxy_user = Unicode("perijove-proxy", help="System user that the proxy runs as when started by root.").tag(
        config=True
    )
    proxy_workers = Int(
        -1, min=-1, max=999, help="Processes of the proxy that carry the traffic; -1 is one a core, at most four."
    ).tag(config=True)
    proxy_engine = Enum(
        ["builtin", "haproxy"],
        "builtin",
        help="What carries the traffic: perijove's own proxy, or a haproxy (2.6 or newer, installed) in front of it.",
    ).tag(config=True)
    proxy_args = List(
        Unicode(),
        help="Further options of the proxy, such as its metrics, access log and limits: "
        '["--metrics-port", "9102", "--access-log", "-"]. Those of perijove itself come later and win.',
    ).tag(config=True)

    authenticator_class: Union = Union(
        [Unicode(), Type(klass=Configurable)],
        default_value="native",
        help="How people sign in: a name (native, dummy, or a plug-in's), an import path, or a class.",
    ).tag(config=True)
    spawner_class: Union = Union(
        [Unicode(), Type(klass=Configurable)],
        default_value="local",
        help="How servers are started: a name (local, or a plug-in's), an import path, or a class.",
    ).tag(config=True)
    admin_users = Set(
        Unicode(), help="Names that are administrators from the start (same as c.Authenticator.admin_users)."
    ).tag(config=True)
    allow_signup = Bool(
        True,
        help="Whether strangers may ask for a local account; an administrator approves it.",
    ).tag(config=True)
    cookie_max_age_days = Float(14.0, min=0.001, help="Days a sign-in lasts.").tag(config=True)

    load_roles = List(
        Dict(), help="Roles to define and assign: name, description, scopes, users, groups, services."
    ).tag(config=True)
    services = List(Dict(), help="Programs with a token of their own: name, api_token, url, command and others.").tag(
        config=True
    )
    custom_scopes = Dict(
        help='Scopes for services of your own: "custom:…" → {"description": …, "subscopes": […]}. Give them by roles.'
    ).tag(config=True)
    extra_user_scopes = List(Unicode(), help="Scopes that everybody with the role user holds besides.").tag(config=True)
    service_check_interval = Float(
        60.0, min=1.0, help="Seconds between looks whether services answer; for the log."
    ).tag(config=True)
    load_groups = Dict(
        help='Groups to make: name → list of users, or {"users": [...], "properties": {...}}. Only adds.'
    ).tag(config=True)
    token_expires_in_max_seconds = Int(0, min=0, help="Longest life of an API token; 0 is no limit.").tag(config=True)
    oauth_token_expires_in = Int(
        0,
        min=0,
        help="Longest life of a token that a server or service is given by OAuth, in seconds. It never outlives the "
        "sign-in it was given in; 0 is just that.",
    ).tag(config=True)
    oauth_require_pkce = Bool(False, help="Refuse OAuth clients that do not use PKCE (RFC 7636).").tag(config=True)
    api_page_default_limit = Int(50, min=1, help="Page size of paginated answers.").tag(config=True)
    api_page_max_limit = Int(200, min=1, help="Largest page size.").tag(config=True)
    authenticate_prometheus = Bool(True, help="Whether /hub/metrics needs the scope read:metrics.").tag(config=True)

    start_by_visit = Bool(
        True,
        help="Whether one's own stopped server starts by being visited, or by a change that somebody makes in a page "
        "of it that is still open. Background polls of a forgotten page never start it.",
    ).tag(config=True)
    allow_named_servers = Bool(False, help="Whether users may have several servers.").tag(config=True)
    named_server_limit_per_user = Union(
        [Int(min=0), Callable()],
        default_value=0,
        help="Most named servers of one user; 0 is no limit. Or a callable that answers it, perhaps as a coroutine: it "
        "is given an object whose current_user has name, admin and groups.",
    ).tag(config=True)
    default_server_name = Unicode(
        "", help="Named server that /hub/user-redirect leads into; empty: the default server."
    ).tag(config=True)
    user_redirect_hook = Union(
        [Callable()],
        default_value=None,
        allow_none=True,
        help="Called with path, request, user and base_url of a /hub/user-redirect; answers a path of this host to go "
        "to, or None for the usual one. May be a coroutine.",
    ).tag(config=True)
    concurrent_spawn_limit = Int(100, min=1, help="Most starts at once; others wait in a fair line.").tag(config=True)
    active_server_limit = Int(0, min=0, help="Most active servers; 0 is no limit.").tag(config=True)
    redirect_to_server = Bool(True, help="Whether sign-in leads to one's server rather than to /hub/home.").tag(
        config=True
    )
    idle_timeout = Float(
        0.0, min=0.0, help="Seconds after which a server in which nothing runs and nobody works is stopped; 0 is never."
    ).tag(config=True)
    server_max_age = Float(
        0.0, min=0.0, help="Seconds after which a server is stopped even while it works; 0 is never."
    ).tag(config=True)
    cull_policies = List(
        Dict(),
        help="The same for groups and roles: dictionaries of group or role, idle_seconds, max_age_seconds, "
        "users_idle_seconds, warn_seconds, extend_seconds, named_servers.",
    ).tag(config=True)
    activity_interval = Float(300.0, min=1.0, help="Seconds between two reports of a server about what it does.").tag(
        config=True
    )
    activity_resolution = Float(
        10.0,
        min=1.0,
        help="Seconds between two writes of last_activity into the database. A crash loses as much of it, and other "
        "hubs over the same database learn of it as late.",
    ).tag(config=True)
    cleanup_servers = Bool(True, help="Whether servers are stopped when perijove is stopped in order.").tag(config=True)

    audit_file = Unicode(
        "", help="File that the audit log is copied to, a line of JSON each; the hub's user must be able to write it."
    ).tag(config=True)
    audit_retention_days = Float(
        0.0, min=0.0, help="Days that entries of the audit log stay in the database; 0 is for good."
    ).tag(config=True)
    tornado_settings = Dict(
        help="As in JupyterHub, of which these keys mean something here: headers, which replace or join those of the "
        "hub's pages and its API; slow_spawn_timeout and slow_stop_timeout, the seconds that a request waits for a "
        "server before it is answered 202 (10). Any other key stops the start."
    ).tag(config=True)
    log_level = CaselessStrEnum(
        ["debug", "info", "warning", "error"], "info", help="Least severe log level shown."
    ).tag(config=True)
    extra_log_handlers: List[Handler] = List(
        Instance(Handler),
        help="Handlers of Python's logging that get the hub's log as well. One without a formatter writes lines as "
        "log_format says; one with a formatter is given the text of each line as its message.",
    ).tag(config=True)
    log_format = Enum(["console", "json"], "console", help="Log lines for people or for machines.").tag(config=True)

    @validate("audit_file")
    def _absolute(self, proposal: dict[str, str]) -> str:
        if proposal["value"] and not proposal["value"].startswith("/"):
            raise TraitError("The 'audit_file' trait must be an absolute path.")
        return proposal["value"]

    @validate("base_url")
    def _both_slashes(self, proposal: dict[str, str]) -> str:
        inner = proposal["value"].strip("/")
        return f"/{inner}/" if inner else "/"


class EventLogger(Configurable):
    """What programs are told of servers."""

    handlers: List[Handler] = List(
        Instance(Handler),
        help="Handlers of Python's logging that get an event for every start and stop of a server: a line of JSON by "
        "JupyterHub's schema server-action, version 1.",
    ).tag(config=True)


class CryptKeeper(Configurable):
    """What auth states are encrypted with (Authenticator.enable_auth_state)."""

    keys: List[Any] = List(
        Union([Unicode(), Bytes()]),
        help="Keys of 32 bytes, as 64 hexadecimal digits or in base64; the first encrypts, all decrypt. "
        "Default: $JUPYTERHUB_CRYPT_KEY, several with ; between them.",
    ).tag(config=True)
