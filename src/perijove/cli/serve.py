"""
`perijove`: everything in the foreground, until Ctrl-C.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from perijove.cli.configuration import Configuration, known_classes, load
from perijove.config.errors import ConfigError
from perijove.config.generate import as_json, as_text, effective, generated_file
from perijove.config.launcher import launcher_words
from perijove.config.sources import process_environment
from perijove.config.tls import acme_words, speaks_https
from perijove.config.traits import Perijove
from perijove.config.urls import origin_of, port_of
from perijove.kit import logs
from perijove.kit.process import default_workers
from perijove.supervisor.app import supervise
from perijove.supervisor.certificates import DeploymentTls
from perijove.supervisor.deployment import SupervisorSettings, prepare
from perijove.supervisor.errors import StartError
from perijove.wire.supervision import EXIT_UNUSABLE

#: option → the trait that it sets
_SHORTCUTS = {
    "ip": "Perijove.ip",
    "port": "Perijove.port",
    "base_url": "Perijove.base_url",
    "ssl_cert": "Perijove.ssl_cert",
    "ssl_key": "Perijove.ssl_key",
    "bind_url": "Perijove.bind_url",
    "state_dir": "Perijove.state_dir",
    "runtime_dir": "Perijove.runtime_dir",
    "db": "Perijove.db_url",
    "pid_file": "Perijove.pid_file",
    "log_level": "Perijove.log_level",
}


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]})
@click.option("-f", "--config", "file", type=click.Path(path_type=Path), help="Configuration file (Python).")
@click.option("--ip", help="Address to listen on; empty for all interfaces. Default: 127.0.0.1.")
@click.option("--port", help="Port to listen on. Default: 8000.")
@click.option("--base-url", help="URL prefix of the whole deployment. Default: /.")
@click.option("--ssl-cert", help="Certificate, PEM: browsers come by https.")
@click.option("--ssl-key", help="Its key, PEM.")
@click.option("--bind-url", help="All three in one, for instance http://:8000/jupyter/.")
@click.option("--state-dir", help="Folder of database, keys and logs.")
@click.option("--runtime-dir", help="Folder of sockets.")
@click.option("--db", help="Database: sqlite:////folder/file.sqlite or postgresql://user@host/database.")
@click.option("--pid-file", help="File to write the process id to.")
@click.option("--log-level", help="debug, info, warning or error.")
@click.option("--debug", is_flag=True, help="The same as --log-level debug.")
@click.option("--generate-config", is_flag=True, help="Print a configuration file with every option, and exit.")
@click.option("--show-config", is_flag=True, help="Print the configuration in force, and exit.")
@click.option("--show-config-json", is_flag=True, help="The same as JSON.")
@click.argument("traits", nargs=-1, type=click.UNPROCESSED, metavar="[--Class.trait=value]...")
def serve(
    *,
    file: Path | None,
    traits: Sequence[str],
    debug: bool,
    generate_config: bool,
    show_config: bool,
    show_config_json: bool,
    **shortcuts: str | None,
) -> None:
    """Run everything in the foreground: proxy, hub, launcher. Any trait can be set by --Class.trait=value."""
    flags = [f"--{_SHORTCUTS[name]}={value}" for name, value in shortcuts.items() if value is not None]
    flags += ["--Perijove.log_level=debug"] if debug else []
    try:
        configuration = load(file, [*flags, *traits])
        _check_proxy_args(configuration.perijove.proxy_args)
    except ConfigError as exc:
        click.echo(f"perijove: {exc}", err=True)
        sys.exit(EXIT_UNUSABLE)
    if generate_config:
        click.echo(generated_file(known_classes(type(configuration.authenticator), type(configuration.spawner))))
    elif show_config or show_config_json:
        click.echo(_shown(configuration, as_json if show_config_json else as_text))
    else:
        sys.exit(_run(configuration))


def _shown(configuration: Configuration, form: Any) -> str:
    text: str = form(
        effective(
            [
                configuration.perijove,
                configuration.launcher,
                configuration.crypt_keeper,
                configuration.authenticator,
                configuration.spawner,
            ]
        )
    )
    return text


def _tls(perijove: Perijove, public_origin: str) -> DeploymentTls | None:
    if not speaks_https(perijove):
        return None
    return DeploymentTls(
        cert=Path(perijove.ssl_cert).resolve() if perijove.ssl_cert else None,
        key=Path(perijove.ssl_key).resolve() if perijove.ssl_key else None,
        redirect_port=perijove.redirect_port,
        redirect_to=port_of(public_origin),
        acme_words=acme_words(perijove),
    )


def _check_proxy_args(words: Sequence[str]) -> None:
    """
    Try options of the proxy here: it would end at once, again and again, over one that it does not know.

    Raises:
        ConfigError: one is wrong.
    """
    if not words:
        return
    # Loaded by those who need it: this process lives as long as all others.
    command: click.Command = importlib.import_module("perijove.cli.proxy").proxy
    try:
        command.make_context("proxy", list(words))
    except click.ClickException as exc:
        raise ConfigError(f"Perijove.proxy_args: {exc.format_message()}") from exc


def _run(configuration: Configuration) -> int:
    p, bind = configuration.perijove, configuration.bind
    logs.configure(process="perijove", level=p.log_level, fmt="json" if p.log_format == "json" else "console")
    public_origin = p.subdomain_host or origin_of(p.public_url) or bind.origin
    settings = SupervisorSettings(
        paths=configuration.paths,
        ip=bind.ip,
        port=bind.port,
        public_origin=public_origin,
        base_url=bind.base_url,
        subdomains=bool(p.subdomain_host),
        trusted_forwarders=tuple(sorted(p.trusted_forwarders)),
        hub_ip=p.hub_ip,
        hub_port=p.hub_port,
        hubs=p.hubs,
        hub_urls=tuple(p.hub_urls),
        hub_user=p.hub_user,
        proxy_user=p.proxy_user,
        proxy_engine=p.proxy_engine,
        proxy_workers=default_workers() if p.proxy_workers < 0 else p.proxy_workers,
        proxy_args=tuple(p.proxy_args),
        launcher_words=launcher_words(configuration.launcher),
        tls=_tls(p, public_origin),
        log_level=p.log_level,
        log_format=p.log_format,
        configuration_words=configuration.words,
        environ=process_environment(),
        say=click.echo,
    )
    with ExitStack() as held:
        try:
            deployment = prepare(settings, held)
            if p.pid_file:
                Path(p.pid_file).write_text(f"{os.getpid()}\n", encoding="ascii")
        except StartError as exc:
            click.echo(f"perijove: {exc}", err=True)
            return 1
        except OSError as exc:
            click.echo(f"perijove: {p.pid_file}: {exc.strerror}", err=True)
            return 1
        return asyncio.run(supervise(deployment))
