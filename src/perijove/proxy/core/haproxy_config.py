"""
The configuration of haproxy, as text.

The rule of this file: `txn.server` is set only for a request that was understood completely and may go to exactly that
server; a request without it goes to the built-in worker, which decides as it always does. So a rule that does not
match, a map that is empty or a mistake made here costs time and opens nothing. Also a server that is not there
(any more) ends at the worker: in every backend it is the only one that has a weight (`haproxy_cli.add_server`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from perijove.proxy.core.answers import plain_page, refusal
from perijove.proxy.core.confine import DROPPED
from perijove.proxy.core.haproxy_cli import SERVER_OPTIONS, word
from perijove.proxy.core.haproxy_routes import PLAIN_PATH, Place, Way, backend_of, backends
from perijove.proxy.core.heads import MAX_LINE
from perijove.wire.identity import HUB_COOKIES, IDENTITY_COOKIE, IDENTITY_HEADER, SESSION_COOKIE

#: Bytes of one of haproxy's buffers. A head must fit into one, with `RESERVE` to spare for what is added to it.
BUFFER: Final = 32 * 1024
RESERVE: Final = 4 * 1024
#: Seconds after which the time of a route's last byte is forgotten; its route has another time then.
ACTIVITY_EXPIRES: Final = 7 * 24 * 3600.0
#: Routes whose last activity is known.
MAX_ACTIVITY: Final = 200_000
#: Seconds that stand for "for ever": haproxy's clock has no more than 24 days.
FOR_EVER: Final = 24 * 24 * 3600.0
#: The table of last activity, as the runtime socket names it.
ACTIVITY_TABLE: Final = "activity"

_ADDRESSES: Final = "addresses"
_ERRORS: Final = (400, 408, 500, 502, 503, 504)
_BAD_REQUESTS: Final = {400: "The request is not valid HTTP.", 408: "The request took too long."}
_HOST: Final = r"^[0-9A-Za-z.\-_~%!$&()*+,;=:\[\]]+$"
#: Fields of which a second one would be read differently by different programs, and those that are compared below.
_SINGLE: Final = ("authorization", "origin", "upgrade", "expect", "cookie", "sec-fetch-site", "connection")
#: Fields whose twins with `_` for `-` become the same variable in CGI-like servers.
_TWINS: Final = (
    r"^(?:x[-_]perijove[-_]identity|content_length|transfer_encoding|x_real[-_]ip|x[-_]real_ip|x_scheme"
    r"|x_forwarded[-_].*|x[-_]forwarded_.*)$"
)
_FORWARDED: Final = r"^(?:x-forwarded-.*|forwarded|x-real-ip|x-scheme)$"
_FORWARDED_ODD: Final = r"^(?:x-forwarded-(?!(?:for|port|proto|host)$).*|forwarded|x-real-ip|x-scheme)$"
_HOP_BY_HOP: Final = r"^(?:keep-alive|te|trailer|proxy.*)$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The files of one haproxy process, all in a folder that is ours alone."""

    folder: str

    @property
    def config(self) -> str:
        """Its configuration."""
        return f"{self.folder}/haproxy.cfg"

    @property
    def runtime(self) -> str:
        """Its runtime socket."""
        return f"{self.folder}/runtime.sock"

    @property
    def routes(self) -> str:
        """The map from paths to servers."""
        return f"{self.folder}/routes.map"

    @property
    def verdicts(self) -> str:
        """The map of good statements; always empty on disk."""
        return f"{self.folder}/verdicts.map"

    @property
    def script(self) -> str:
        """The script that confines `Set-Cookie` and `Service-Worker-Allowed`."""
        return f"{self.folder}/confine.lua"

    def certificate(self, number: int) -> str:
        """A certificate; its key is beside it, with `.key` behind the name."""
        return f"{self.folder}/site-{number}.pem"

    @property
    def client_authorities(self) -> str:
        """The authorities of client certificates."""
        return f"{self.folder}/clients.pem"

    def error(self, status: int) -> str:
        """The answer for an error that haproxy finds itself."""
        return f"{self.folder}/{status}.http"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Seconds; 0 is for ever."""

    head: float
    keep_alive: float
    client: float
    server: float
    connect: float
    half_closed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BindTls:
    """How TLS is spoken with browsers."""

    #: how many certificates there are; the first is for names that no other has
    certificates: int
    #: `required`, `optional`, or empty: clients are not asked for a certificate
    verify: str = ""
    #: lowest and highest version in haproxy's words, the highest may be empty
    versions: tuple[str, str] = ("TLSv1.2", "")
    #: suites of TLS 1.2 in OpenSSL's notation
    ciphers: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HaproxySettings:
    """What one haproxy is started with."""

    paths: Paths
    #: descriptors of the public listening sockets
    public: Sequence[int]
    #: unix socket of the built-in worker
    worker: str
    threads: int
    max_connections: int
    waits: Waits
    #: None: plain HTTP
    tls: BindTls | None = None
    #: whether `X-Forwarded-*` lines are written
    x_forward: bool = True
    #: addresses whose own `X-Forwarded-*` lines are kept and appended to; `unix` for those on a unix socket
    trusted_forwarders: frozenset[str] = frozenset()
    #: connections from one address (IPv6: one /64), unless it is a trusted forwarder
    per_address: int = 1000


def render_config(settings: HaproxySettings, places: Iterable[Place]) -> str:
    """The configuration file, with the servers of *places*."""
    servers: dict[str, list[Place]] = {backend: [] for backend in backends()}
    for place in places:
        if place.server:
            servers[backend_of(place.server)].append(place)
    lines = [
        *_global(settings),
        *_defaults(settings),
        "frontend public",
        *(f"  {line}" for line in _binds(settings)),
        *(f"  tcp-request connection {line}" for line in _connection_rules(settings)),
        *(f"  http-request {line}" for line in _request_rules(settings)),
        *(f"  http-response {line}" for line in _response_rules()),
        "  use_backend %[var(txn.route),field(2,|)] if { var(txn.server) -m found }",
        "  default_backend worker",
        f"backend {ACTIVITY_TABLE}",
        # Bytes must be counted: it is the counting that refreshes an entry.
        (
            f"  stick-table type string len 32 size {MAX_ACTIVITY} expire {int(ACTIVITY_EXPIRES)}s"
            " store bytes_in_cnt,bytes_out_cnt"
        ),
        f"backend {_ADDRESSES}",
        f"  stick-table type ipv6 size {settings.max_connections} expire 10s store conn_cur",
        "backend worker",
        f"  server worker unix@{word(settings.worker)}",
    ]
    for backend, members in servers.items():
        lines += _shard(backend, members, worker=word(settings.worker))
    return "\n".join(lines) + "\n"


def render_map(entries: Mapping[str, str]) -> str:
    """A map file."""
    return "".join(f"{word(key)} {word(value)}\n" for key, value in entries.items())


def render_errors() -> dict[int, bytes]:
    """What haproxy answers when it finds an error itself, by status."""
    answers = {}
    for status in _ERRORS:
        reason = _BAD_REQUESTS.get(status)
        answer = refusal(status, reason) if reason else plain_page(status, is_hub=False)
        answers[status] = answer.render(close=True, head_only=False)
    return answers


def _global(settings: HaproxySettings) -> list[str]:
    paths = settings.paths
    return [
        "global",
        f"  stats socket {word(paths.runtime)} mode 600 level admin",
        # One connection for as long as both sides live.
        f"  stats timeout {_seconds(0)}",
        f"  nbthread {settings.threads}",
        f"  maxconn {settings.max_connections}",
        f"  tune.bufsize {BUFFER}",
        f"  tune.maxrewrite {RESERVE}",
        f"  lua-load-per-thread {word(paths.script)}",
    ]


def _defaults(settings: HaproxySettings) -> list[str]:
    waits, paths = settings.waits, settings.paths
    return [
        "defaults",
        "  mode http",
        f"  timeout http-request {_seconds(waits.head)}",
        f"  timeout http-keep-alive {_seconds(waits.keep_alive)}",
        f"  timeout client {_seconds(waits.client)}",
        f"  timeout client-fin {_seconds(waits.half_closed)}",
        f"  timeout connect {_seconds(waits.connect)}",
        f"  timeout server {_seconds(waits.server)}",
        f"  timeout tunnel {_seconds(0)}",
        # Who leaves frees the server, also one that streams nothing for hours.
        "  option abortonclose",
        # Also the bytes inside an open WebSocket are signs of life.
        "  option contstats",
        *(f"  errorfile {status} {word(paths.error(status))}" for status in _ERRORS),
    ]


def _binds(settings: HaproxySettings) -> list[str]:
    words = " ".join(_tls_words(settings.tls, settings.paths)) if settings.tls else ""
    return [f"bind fd@{descriptor} {words}".rstrip() for descriptor in settings.public]


def _tls_words(tls: BindTls, paths: Paths) -> Iterator[str]:
    yield "ssl alpn h2,http/1.1 no-tls-tickets"
    for number in range(tls.certificates):
        yield f"crt {word(paths.certificate(number))}"
    lowest, highest = tls.versions
    yield f"ssl-min-ver {word(lowest)}"
    if highest:
        yield f"ssl-max-ver {word(highest)}"
    if tls.ciphers:
        yield f"ciphers {word(tls.ciphers)}"
    if tls.verify:
        yield f"ca-file {word(paths.client_authorities)} verify {word(tls.verify)}"


def _shard(backend: str, places: Sequence[Place], *, worker: str) -> list[str]:
    return [
        f"backend {backend}",
        "  balance roundrobin",
        # A server that cannot be reached: the worker tries it once more, and has the error page.
        "  option redispatch 1",
        "  retries 1",
        "  use-server %[var(txn.server)] if TRUE",
        # Two of one: haproxy waits a second before it tries another server if there is only one.
        f"  server worker1 unix@{worker} weight 1",
        f"  server worker2 unix@{worker} weight 1",
        *(f"  server {place.server} {word(place.address)} {SERVER_OPTIONS}" for place in places),
    ]


def _connection_rules(settings: HaproxySettings) -> list[str]:
    addresses = sorted(settings.trusted_forwarders - {"unix"})
    others = f" if !{{ src {' '.join(map(word, addresses))} }}" if addresses else ""
    return [
        f"track-sc1 src,ipmask(32,64) table {_ADDRESSES}{others}",
        f"reject if {{ sc1_conn_cur gt {settings.per_address} }}",
    ]


def _request_rules(settings: HaproxySettings) -> list[str]:
    return [
        f"del-header '{_TWINS}' -m reg",
        *(_forwarding(settings) if settings.x_forward else ()),
        *_find_route(settings.paths),
        *_admit(settings.paths),
        *_rewrite(),
    ]


def _forwarding(settings: HaproxySettings) -> list[str]:
    """`forwarding.py`, in haproxy's words; a second line is what an appended item is (RFC 9110 section 5.3)."""
    scheme, port = ("https", 443) if settings.tls else ("http", 80)
    rules = [
        f"set-var(txn.port) int({port})",
        "set-var(txn.port) req.fhdr(host),port_only if { req.fhdr(host),port_only gt 0 }",
    ]
    addresses = sorted(settings.trusted_forwarders - {"unix"})
    trusted = [f"{{ src {word(address)} }}" for address in addresses]
    if "unix" in settings.trusted_forwarders:
        trusted.append("!{ src -m found }")
    rules += [f"set-var(txn.trusted) bool(true) if {condition}" for condition in trusted]
    known = "{ var(txn.trusted) -m bool }"
    return [
        *rules,
        f"del-header '{_FORWARDED}' -m reg if !{known}",
        f"del-header '{_FORWARDED_ODD}' -m reg if {known}",
        "add-header X-Forwarded-For %[src] if { src -m found }",
        "add-header X-Forwarded-Port %[var(txn.port)]",
        f"add-header X-Forwarded-Proto {scheme}",
        "set-header X-Forwarded-Host %[req.fhdr(host)] if !{ req.fhdr(x-forwarded-host) -m found }",
    ]


def _find_route(paths: Paths) -> list[str]:
    """`txn.route`, for requests that can be read in one way only; everything strict about `requests.py` is here."""
    doubled = [f"{{ req.fhdr_cnt({name}) gt 1 }}" for name in _SINGLE]
    odd = [
        *doubled,
        f"!{{ path -m reg '{PLAIN_PATH}' }}",
        f"{{ url_len gt {MAX_LINE} }}",
        # Absolute form; with HTTP/2 it is made from two pseudo-fields.
        "!{ url_beg / } !{ fc_http_major 2 }",
        "!{ req.ver 1.1 } !{ req.ver 2.0 }",
        "!{ req.fhdr_cnt(host) eq 1 }",
        f"!{{ req.fhdr(host) -m reg '{_HOST}' }}",
        "{ method CONNECT }",
        # Between cookies only spaces are understood here.
        "{ req.fhdr(cookie) -m reg '[[:cntrl:]]' }",
        "{ req.fhdr(expect) -m found } !{ req.fhdr(expect) -i 100-continue }",
    ]
    return [
        *(f"set-var(txn.odd) bool(true) if {condition}" for condition in odd),
        f"set-var(txn.route) path,concat(/),map_beg({word(paths.routes)}) if !{{ var(txn.odd) -m bool }}",
        "set-var(txn.way) var(txn.route),field(1,|) if { var(txn.route) -m found }",
        # What is left of Connection when haproxy has taken its own: somebody wants something special.
        "set-var(txn.special) bool(true) if { req.fhdr(connection) -m found }",
        "set-var(txn.special) bool(true) if { req.fhdr(upgrade) -m found }",
        # Bodies of unknown length may have trailers, which haproxy would pass on.
        "set-var(txn.special) bool(true) if { req.fhdr(transfer-encoding) -m found }",
        (
            "set-var(txn.special) bool(true) if { fc_http_major 2 } !{ method GET HEAD OPTIONS DELETE }"
            " !{ req.fhdr(content-length) -m found }"
        ),
        (
            "set-var(txn.websocket) bool(true) if { method GET } { req.fhdr(upgrade) -i websocket }"
            " { req.fhdr(connection) -i upgrade } !{ req.fhdr(content-length) -m found }"
            " !{ req.fhdr(transfer-encoding) -m found }"
        ),
    ]


def _admit(paths: Paths) -> list[str]:
    """`txn.server`: `gate.py` for what was decided before, and nothing else."""
    is_open = f"{{ var(txn.way) -m str {Way.HUB.value} {Way.SERVICE.value} }}"
    is_gated = f"{{ var(txn.way) -m str {Way.GATED.value} }}"
    server = "set-var(txn.server) var(txn.route),field(3,|)"
    is_special = "{ var(txn.special) -m bool }"
    cookie = re.escape(IDENTITY_COOKIE).replace("\\-", "-")
    return [
        f"{server} if {is_open} !{is_special}",
        f"{server} if {is_open} {{ var(txn.websocket) -m bool }}",
        f"set-var(txn.tag) var(txn.route),field(4,|) if {is_gated}",
        f"set-var(txn.prefix) var(txn.route),field(5,|) if {is_gated}",
        # Of two statements the worker must look at both: they may name two people.
        (
            f"set-var(txn.identity) req.cook({IDENTITY_COOKIE}) if {is_gated}"
            f" !{{ req.fhdr(cookie) -m reg '{cookie}.*{cookie}' }}"
        ),
        (
            "set-var(txn.until) var(txn.identity),concat(|,txn.tag),"
            f"map_str_int({word(paths.verdicts)}) if {{ var(txn.identity) -m found }}"
        ),
        f"set-var(txn.host) req.fhdr(host),lower if {is_gated}",
        f"set-var(txn.origin_plain) str(http://),concat(,txn.host) if {is_gated}",
        f"set-var(txn.origin_tls) str(https://),concat(,txn.host) if {is_gated}",
        (
            f"set-var(txn.foreign) bool(true) if {is_gated} {{ req.fhdr(sec-fetch-site) -m found }}"
            " !{ req.fhdr(sec-fetch-site) -m str same-origin none }"
        ),
        (
            f"set-var(txn.foreign) bool(true) if {is_gated} {{ req.fhdr(origin) -m found }}"
            " !{ req.fhdr(origin),lower,strcmp(txn.origin_plain) eq 0 }"
            " !{ req.fhdr(origin),lower,strcmp(txn.origin_tls) eq 0 }"
        ),
        "set-var(txn.harmless) bool(true) if { method GET HEAD OPTIONS }",
        "set-var(txn.harmless) bool(true) if !{ var(txn.foreign) -m bool }",
        # WebSockets too are the worker's: it closes exactly those of a session that is revoked.
        (
            f"{server} if {is_gated} !{is_special} {{ var(txn.harmless) -m bool }}"
            " !{ req.fhdr(authorization) -m found } { var(txn.until) -m found } { date,neg,add(txn.until) gt 0 }"
        ),
    ]


def _rewrite() -> list[str]:
    """What a server is not told, and what it is told."""
    is_direct = "{ var(txn.server) -m found }"
    is_gated = f"{{ var(txn.way) -m str {Way.GATED.value} }}"
    is_service = f"{{ var(txn.way) -m str {Way.SERVICE.value} }}"
    has_cookie = "{ req.fhdr(cookie) -m found }"
    hidden = (IDENTITY_COOKIE, *HUB_COOKIES)
    sign_in = tuple(name for name in hidden if name != SESSION_COOKIE)
    return [
        f"del-header '{_HOP_BY_HOP}' -m reg if {is_direct}",
        f"set-var(txn.cookie) '{_without_cookies(hidden)}' if {is_direct} {is_gated} {has_cookie}",
        f"set-var(txn.cookie) '{_without_cookies(sign_in)}' if {is_direct} {is_service} {has_cookie}",
        "set-header Cookie %[var(txn.cookie)] if { var(txn.cookie) -m found }",
        "del-header Cookie if { var(txn.cookie) -m found } { var(txn.cookie),length eq 0 }",
        f"set-header {IDENTITY_HEADER} %[var(txn.identity)] if {is_direct} {is_gated}",
    ]


def _without_cookies(names: Sequence[str]) -> str:
    """`strip_cookies` as an expression: the pairs of these names go, and what is left in front."""
    pattern = rf"(?:^|;)[ \t]*(?:{'|'.join(names)})[ \t]*(?:=[^;]*)?(?=;|$)"
    return rf'req.fhdr(cookie),regsub("{pattern}","",g),regsub("^[; \t]+","")'


def _response_rules() -> list[str]:
    """`confine.py` for gated servers, and what ends at this hop."""
    is_direct = "{ var(txn.server) -m found }"
    is_gated = f"{is_direct} {{ var(txn.way) -m str {Way.GATED.value} }}"
    dropped = "|".join(sorted(name.decode("ascii") for name in DROPPED))
    return [
        f"del-header '^(?:keep-alive|te|trailer|proxy.*)$' -m reg if {is_direct}",
        f"del-header upgrade if {is_direct} !{{ status 101 }}",
        f"del-header '^(?:{dropped})$' -m reg if {is_gated}",
        f"lua.perijove_confine if {is_gated} {{ res.fhdr(set-cookie) -m found }}",
        (
            f"lua.perijove_confine if {is_gated} {{ res.fhdr(service-worker-allowed) -m found }}"
            " !{ var(txn.confined) -m bool }"
        ),
        # Should the script fail, nothing passes unconfined.
        f"del-header '^(?:set-cookie|service-worker-allowed)$' -m reg if {is_gated} !{{ var(txn.confined) -m bool }}",
        # Errors and redirects are no sign of life (contract section h).
        f"track-sc0 var(txn.server) table {ACTIVITY_TABLE} if {is_direct} {{ status lt 300 }}",
    ]


def _seconds(seconds: float) -> str:
    return f"{int((seconds or FOR_EVER) * 1000)}ms"
