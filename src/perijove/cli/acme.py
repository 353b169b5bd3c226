"""
`perijove acme`: obtain one certificate now. The proxy starts it when it is time; so may an administrator.
"""

from __future__ import annotations

from typing import Any

import click

from perijove.cli.proxy_tls import acme_options, read_acme
from perijove.proxy.acme.order import NoCertificate, obtain


@click.command("acme", context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@acme_options
def acme(**given: Any) -> None:
    """
    Obtain a certificate by ACME and end.

    The authority's HTTP-01 challenge is answered by the proxy that has the same --acme-dir, on its --redirect-port.
    """
    settings = read_acme(given)
    if settings is None:
        raise click.UsageError("--acme-domain is missing: the names that the certificate is for.")
    try:
        obtain(settings)
    except NoCertificate as exc:
        raise click.ClickException(str(exc)) from exc
