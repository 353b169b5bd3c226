"""
`perijove proxy`: the proxy alone, with configurable-http-proxy's flags where it has the feature.
"""

from __future__ import annotations

import os
import socket
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from perijove import __version__
from perijove.cli.proxy_flags import (
    check_exclusive,
    leave,
    more_options,
    read_limits,
    read_observation,
    read_passing,
    read_timeouts,
    take_token,
)
from perijove.cli.proxy_tls import read_tls, tls_options
from perijove.kit import logs
from perijove.kit.process import NotInherited, default_workers, inherited_sockets, notify_parent
from perijove.proxy.app import serve
from perijove.proxy.config import EngineName, ProxyConfig
from perijove.proxy.core.errors import BadTarget, ProxyError, UnusableSettings
from perijove.proxy.core.passing import Passing
from perijove.proxy.core.targets import Target, parse_target
from perijove.wire.control import PASSPHRASE_VARIABLES
from perijove.wire.supervision import LISTEN_FDS_VARIABLE, NOTIFY_FD_VARIABLE

_FILE = click.Path(dir_okay=False, path_type=Path)


def _read_file(context: click.Context, _parameter: click.Parameter, value: Path | None) -> Path | None:
    """A TOML file with the long names of options; the command line wins."""
    if value is not None:
        try:
            content = tomllib.loads(value.read_text())
        except (OSError, ValueError) as exc:
            raise click.BadParameter(f"{value}: {exc}") from exc
        names = {
            option.removeprefix("--"): parameter.name
            for parameter in context.command.params
            for option in parameter.opts
            if option.startswith("--")
        }
        unknown = sorted(content.keys() - names.keys())
        if unknown:
            raise click.BadParameter(f"{value}: unknown settings: {', '.join(unknown)}")
        several = {parameter.name for parameter in context.command.params if getattr(parameter, "multiple", False)}
        context.default_map = {
            names[name] or name: [setting] if names[name] in several and isinstance(setting, str) else setting
            for name, setting in content.items()
        }
    return value


def _workers(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    """A number, or `auto`: one a core, at most four."""
    if value == "auto":
        return default_workers()
    if value.isdecimal() and len(value) <= len("999"):
        return int(value)
    raise click.BadParameter("must be a number or 'auto'")


def _targets(_context: click.Context, _parameter: click.Parameter, value: Sequence[str]) -> tuple[Target, ...]:
    """URLs that the proxy can connect to."""
    try:
        return tuple(parse_target(url) for url in value if url)
    except BadTarget as exc:
        raise click.BadParameter(str(exc)) from exc


@click.command("proxy", context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--config",
    "_file",
    type=_FILE,
    is_eager=True,
    expose_value=False,
    callback=_read_file,
    help="TOML file with these options by their long names; read again on SIGHUP.",
)
@click.option("--ip", default="", help="Public address; empty: all interfaces.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Public port.")
@click.option("--socket", "public_socket", type=_FILE, help="Public unix socket instead of an address.")
@click.option("--api-ip", default="127.0.0.1", help="Address of the control API.")
@click.option("--api-port", type=click.IntRange(0, 65535), help="Port of the control API.  [default: port + 1]")
@click.option("--api-socket", type=_FILE, help="Unix socket of the control API (mode 0600) instead.")
@click.option(
    "--default-target",
    multiple=True,
    help="Where everything without a route goes; repeated: who is tried next if one cannot be connected to.",
)
@click.option(
    "--error-target",
    callback=_targets,
    multiple=True,
    help="Error pages: GET <url>/<status>?url=<path>; repeated: who is asked next.",
)
@click.option(
    "--hub-url",
    callback=_targets,
    multiple=True,
    help="The hub, with its prefix: whom the door asks; repeated: who is asked next.",
)
@click.option("--enter-path", default="/hub/enter", help="Where visitors without a statement are sent.")
@click.option("--keys-file", type=_FILE, help='Public keys of the door: {"keys": [JWK, ...]}.')
@click.option("--snapshot", type=_FILE, help="Keep the table here, to start warm.")
@click.option("--recheck-interval", type=click.FloatRange(min=1), default=180.0, help="Seconds.")
@click.option("--trusted-forwarders", default="", help="Whose X-Forwarded-* count: addresses, or unix.")
@click.option("--no-x-forward", is_flag=True, help="Write no X-Forwarded-* headers.")
@click.option("--no-prepend-path", is_flag=True, help="Do not put a target's path in front.")
@click.option("--no-include-prefix", is_flag=True, help="Strip the route's own path.")
@click.option("--host-routing", is_flag=True, help="A route's first segment is a host name.")
@click.option("--timeout", type=click.IntRange(min=0), default=0, help="Idle client during a request, ms; 0: never.")
@click.option("--proxy-timeout", type=click.IntRange(min=0), default=0, help="Silent server, ms; 0: never.")
@click.option(
    "--keep-alive-timeout", type=click.IntRange(min=1), help="Between requests, ms.  [default: 60000]", default=None
)
@more_options
@click.option(
    "--workers",
    default="auto",
    callback=_workers,
    help="Processes for the traffic; auto: one a core, at most 4; 0: none of their own.",
)
@click.option(
    "--engine",
    type=click.Choice(["builtin", "haproxy"]),
    default="builtin",
    help="What carries the traffic: this program, or a haproxy in front of it.",
)
@click.option("--haproxy-command", default="haproxy", help="With --engine haproxy: how it is called.")
@click.option("--pid-file", type=_FILE, help="Written at start, removed at the end.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warn", "warning", "error"], case_sensitive=False),
    default="info",
    help="debug, info, warning or error.",
)
@click.option(
    "--log-format", type=click.Choice(["console", "json"]), default="console", help="Lines for people or machines."
)
@tls_options
@click.version_option(__version__, "-V", "--version", message="%(version)s")
@click.pass_context
def proxy(context: click.Context, /, *, log_level: str, log_format: logs.LogFormat, **flags: Any) -> None:
    """
    The public proxy.

    The secret of the control API is read from CONFIGPROXY_AUTH_TOKEN, or from the file that
    CONFIGPROXY_AUTH_TOKEN_FILE names. Called by the name configurable-http-proxy, it ends as that program does.
    """
    check_exclusive(context)
    level = log_level.lower()
    logs.configure(process="proxy", level="warning" if level == "warn" else level, fmt=log_format)
    try:
        # Still known when the settings are read again.
        token = take_token()
        passphrases = {name: os.environ.pop(name, "") for name in PASSPHRASE_VARIABLES}
        inherited = inherited_sockets(os.environ, LISTEN_FDS_VARIABLE)
        config = partial(_config, inherited=inherited, auth_token=token, passphrases=passphrases)
        ready = partial(notify_parent, os.environ, NOTIFY_FD_VARIABLE, '{"ready": true}')
        code = serve(config(**flags), partial(_read_again, config, sys.argv[1:]), ready=ready)
    except (ProxyError, NotInherited) as exc:
        raise click.ClickException(str(exc)) from exc
    leave(code)


def _read_again(make: Callable[..., ProxyConfig], words: Sequence[str]) -> ProxyConfig:
    """
    The settings as they are now.

    Raises:
        ProxyError: they are not usable.
    """
    words = words[1:] if list(words[:1]) == [proxy.name] else words
    try:
        with proxy.make_context("proxy", list(words)) as context:
            check_exclusive(context)
            flags = dict(context.params)
    except click.ClickException as exc:
        raise UnusableSettings(exc.format_message()) from exc
    del flags["log_level"], flags["log_format"]
    return make(**flags)


def _config(  # one parameter per flag
    *,
    inherited: Mapping[str, socket.socket],
    auth_token: str,
    passphrases: Mapping[str, str],
    ip: str,
    port: int,
    public_socket: Path | None,
    api_ip: str,
    api_port: int | None,
    api_socket: Path | None,
    default_target: tuple[str, ...],
    error_target: tuple[Target, ...],
    hub_url: tuple[Target, ...],
    enter_path: str,
    keys_file: Path | None,
    snapshot: Path | None,
    recheck_interval: float,
    trusted_forwarders: str,
    no_x_forward: bool,
    no_prepend_path: bool,
    no_include_prefix: bool,
    host_routing: bool,
    workers: int,
    engine: EngineName,
    haproxy_command: str,
    pid_file: Path | None,
    **more: Any,
) -> ProxyConfig:
    return ProxyConfig(
        ip=ip,
        port=port,
        public_socket=public_socket,
        api_ip=api_ip,
        api_port=port + 1 if api_port is None else api_port,
        api_socket=api_socket,
        inherited=inherited,
        auth_token=auth_token,
        default_targets=tuple(filter(None, default_target)),
        error_targets=error_target,
        hubs=hub_url,
        enter_path=enter_path,
        keys_file=keys_file,
        snapshot=snapshot,
        recheck_interval=recheck_interval,
        passing=Passing(
            x_forward=not no_x_forward,
            trusted_forwarders=frozenset(filter(None, (name.strip() for name in trusted_forwarders.split(",")))),
            prepend_path=not no_prepend_path,
            include_prefix=not no_include_prefix,
            host_routing=host_routing,
            **read_passing(more),
        ),
        timeouts=read_timeouts(more),
        limits=read_limits(more),
        workers=workers,
        engine=engine,
        haproxy_command=haproxy_command,
        pid_file=pid_file,
        **read_observation(more),
        tls=read_tls(more, passphrases, inherited=frozenset(inherited)),
    )
