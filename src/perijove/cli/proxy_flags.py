"""
Flags of `perijove proxy` by theme: limits, what is told about the traffic, and the rest of configurable-http-proxy's.

A flag of configurable-http-proxy is kept, or refused with a sentence that says why and what to do instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

import click
from click.core import ParameterSource

from perijove.cli.chp import is_chp
from perijove.proxy.core.errors import UnusableSettings
from perijove.proxy.core.limits import Limits
from perijove.proxy.core.own_fields import read_fields_to_add
from perijove.proxy.core.relocation import Relocation
from perijove.proxy.net.pages import read_pages
from perijove.proxy.net.timeouts import Timeouts
from perijove.wire.control import AUTH_TOKEN_FILE_VARIABLE, AUTH_TOKEN_VARIABLE

#: Milliseconds between requests: a load balancer in front waits for a minute, too; CHP's own default.
KEEP_ALIVE_MS: Final = 60_000
CHP_KEEP_ALIVE_MS: Final = 5_000
#: CHP ends with this when it is told to end.
CHP_EXIT_CODE: Final = 2

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_COUNT: Final = click.IntRange(min=1)
_ANY_COUNT: Final = click.IntRange(min=0)
_SECONDS: Final = click.FloatRange(min=0, min_open=True)
_LIMITS: Final = Limits()
_TIMEOUTS: Final = Timeouts()
_Command = Callable[..., Any]
_Option = Callable[[_Command], _Command]

#: An option and those that it replaces: both together contradict each other.
_EXCLUSIVE: Final[Mapping[str, tuple[str, ...]]] = {
    "public_socket": ("ip", "port"),
    "api_socket": ("api_ip", "api_port"),
    "metrics_socket": ("metrics_ip", "metrics_port"),
    "error_path": ("error_target",),
}


def _refuse(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """A flag whose value only means something to Node."""
    if value is None:
        return
    raise click.BadParameter(
        f"{value!r} is a module for Node.js. perijove keeps its routes in memory, and on disk with --snapshot.",
        ctx=context,
        param=parameter,
    )


def _metrics_port(_context: click.Context, _parameter: click.Parameter, value: int | None) -> int | None:
    """A port; 0 is none, as in configurable-http-proxy."""
    return value or None


_LIMIT_OPTIONS: Final[tuple[_Option, ...]] = (
    click.option("--max-head", type=_COUNT, default=_LIMITS.head, help="Bytes of a request head; more: 431."),
    click.option("--max-line", type=_COUNT, default=_LIMITS.line, help="Bytes of a request line; more: 414."),
    click.option("--max-fields", type=_COUNT, default=_LIMITS.fields, help="Fields of a head; more: 431."),
    click.option("--head-timeout", type=_SECONDS, default=_TIMEOUTS.head, help="Seconds for a head; longer: 408."),
    click.option(
        "--body-timeout", type=_SECONDS, default=_TIMEOUTS.body, help="Seconds between two pieces of a request's body."
    ),
    click.option(
        "--min-rate", type=_ANY_COUNT, default=_LIMITS.rate,
        help="Bytes a second that a client must send of a body, or take of an answer; 0: any.",
    ),
    click.option(
        "--rate-window", type=_SECONDS, default=_LIMITS.rate_window, help="Seconds over which a body's rate is taken."
    ),
    click.option(
        "--flush-timeout", type=_SECONDS, default=_TIMEOUTS.flush,
        help="Seconds over which the rate is averaged at which an answer is taken.",
    ),
    click.option(
        "--max-clients", type=_ANY_COUNT, default=_LIMITS.clients,
        help="Connections from clients, per worker; 0: what descriptors allow, at most 32768.",
    ),
    click.option(
        "--max-per-address", type=_ANY_COUNT, default=_LIMITS.per_address,
        help="Connections from one address, per worker; 0: half of all.",
    ),
    click.option(
        "--max-websockets", type=_COUNT, default=_LIMITS.websockets,
        help="WebSockets of one session on gated routes, per worker; more: 429.",
    ),
    click.option(
        "--max-per-target", type=_ANY_COUNT, default=_LIMITS.per_target,
        help="Connections to one server, per worker; more: 503. 0: half of --max-clients.",
    ),
    click.option("--max-routes", type=_COUNT, default=_LIMITS.routes, help="Routes; more: 507."),
)  # fmt: skip

_OBSERVE_OPTIONS: Final[tuple[_Option, ...]] = (
    click.option("--metrics-ip", help="Address of the metrics server; empty: all interfaces.  [default: 127.0.0.1]"),
    click.option(
        "--metrics-port", type=click.IntRange(0, 65535), callback=_metrics_port,
        help="Port of the metrics server (GET /metrics). Without it there is none.",
    ),
    click.option("--metrics-socket", type=_FILE, help="Unix socket of the metrics server (mode 0660) instead."),
    click.option("--access-log", default="", help="A line for every request goes to this file, or - for stdout."),
    click.option(
        "--access-log-format", type=click.Choice(["json", "combined"]), default="json", help="What lines look like."
    ),
)  # fmt: skip

_CHP_OPTIONS: Final[tuple[_Option, ...]] = (
    click.option(
        "--error-path", type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Folder with error pages: 404.html, 503.html, ..., error.html for all others.",
    ),
    click.option(
        "--custom-header", multiple=True, metavar="NAME:VALUE",
        help="Every request gets this header instead of a client's own. May be repeated.",
    ),
    click.option("--change-origin", is_flag=True, help="Ask servers by their own name instead of the public one."),
    click.option("--auto-rewrite", is_flag=True, help="Redirects of a server to its own host go to the public one."),
    click.option(
        "--protocol-rewrite", type=click.Choice(["http", "https"]),
        help="Redirects of a server to itself get this scheme.",
    ),
    click.option("--storage-backend", callback=_refuse, expose_value=False, help="Refused: see --snapshot."),
)  # fmt: skip


def more_options(command: _Command) -> _Command:
    """Add all of them to *command*."""
    for option in reversed((*_LIMIT_OPTIONS, *_OBSERVE_OPTIONS, *_CHP_OPTIONS)):
        command = option(command)
    return command


def check_exclusive(context: click.Context) -> None:
    """
    Refuse options that contradict each other, as configurable-http-proxy does.

    Raises:
        click.UsageError: two of them do.
    """
    said = {name for name in context.params if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for one, others in _EXCLUSIVE.items():
        for other in others:
            if one in said and other in said:
                raise click.UsageError(f"{options[one]} and {options[other]} cannot be used together.", context)


def read_limits(flags: Mapping[str, Any]) -> Limits:
    """The limits that *flags* state."""
    return Limits(
        head=flags["max_head"],
        line=flags["max_line"],
        fields=flags["max_fields"],
        rate=flags["min_rate"],
        rate_window=flags["rate_window"],
        clients=flags["max_clients"],
        per_address=flags["max_per_address"],
        websockets=flags["max_websockets"],
        per_target=flags["max_per_target"],
        routes=flags["max_routes"],
    )


def read_timeouts(flags: Mapping[str, Any]) -> Timeouts:
    """The timeouts that *flags* state; configurable-http-proxy's own are milliseconds."""
    keep_alive = flags["keep_alive_timeout"]
    if keep_alive is None:
        keep_alive = CHP_KEEP_ALIVE_MS if is_chp() else KEEP_ALIVE_MS
    return Timeouts(
        client=flags["timeout"] / 1000,
        server=flags["proxy_timeout"] / 1000,
        keep_alive=keep_alive / 1000,
        head=flags["head_timeout"],
        body=flags["body_timeout"],
        flush=flags["flush_timeout"],
    )


def read_passing(flags: Mapping[str, Any]) -> dict[str, Any]:
    """
    What `Passing` is told by *flags*.

    Raises:
        UnusableSettings: a custom header is none.
    """
    return {
        "fields": read_fields_to_add(flags["custom_header"]),
        "change_origin": flags["change_origin"],
        "relocation": Relocation(host=flags["auto_rewrite"], scheme=(flags["protocol_rewrite"] or "").encode()),
    }


def read_observation(flags: Mapping[str, Any]) -> dict[str, Any]:
    """
    What `ProxyConfig` is told about metrics, the access log and error pages.

    Raises:
        UnusableSettings: the folder with error pages cannot be read.
    """
    return {
        "metrics_ip": ("" if is_chp() else "127.0.0.1") if flags["metrics_ip"] is None else flags["metrics_ip"],
        "metrics_port": flags["metrics_port"],
        "metrics_socket": flags["metrics_socket"],
        "access_log": flags["access_log"],
        "access_log_format": flags["access_log_format"],
        "error_pages": read_pages(flags["error_path"]) if flags["error_path"] else {},
    }


def take_token() -> str:
    """
    The secret of the control API, which is gone from the environment then: others may read that.

    Raises:
        UnusableSettings: the file that should hold it cannot be read.
    """
    token = os.environ.pop(AUTH_TOKEN_VARIABLE, "")
    file = os.environ.pop(AUTH_TOKEN_FILE_VARIABLE, "")
    if token or not file:
        return token
    try:
        return Path(file).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as exc:
        raise UnusableSettings(f"{AUTH_TOKEN_FILE_VARIABLE}: {exc}") from exc


def leave(code: int) -> NoReturn:
    """End with *code*, or as configurable-http-proxy does."""
    raise SystemExit(CHP_EXIT_CODE if is_chp() and not code else code)
