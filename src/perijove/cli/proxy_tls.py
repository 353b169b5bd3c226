"""
The flags of `perijove proxy` about TLS and certificates, and what they come to.

Names and meaning are configurable-http-proxy's where it has them. What it has and we do not is refused with a
sentence; a flag that would do nothing without another is refused as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from perijove.proxy.acme.settings import DEFAULT_SERVER, AcmeSettings
from perijove.proxy.acme.storage import certificate_in
from perijove.proxy.config import TlsConfig
from perijove.proxy.core.hosts import strict_host
from perijove.proxy.net.tls import CIPHERS, PROTOCOLS, CertificateFiles, ClientTls, ServerTls
from perijove.wire.control import API_KEY_PASSPHRASE_VARIABLE, KEY_PASSPHRASE_VARIABLE
from perijove.wire.supervision import REDIRECT

F = TypeVar("F", bound=Callable[..., Any])

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
_PORT: Final = click.IntRange(1, 65535)
#: flags that are accepted only to say no
_REFUSED: Final = {
    "ssl_allow_rc4": "RC4 is broken (RFC 7465): there is no way to allow it.",
    "ssl_dhparam": "key exchange is by elliptic curves alone, which have no parameters of your own to set.",
}
#: OpenSSL's names of what browsers call TLS 1.2 and 1.3, as Node's `secureProtocol` has them
_METHOD: Final = "_method"


def _pair(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[CertificateFiles, ...]:
    """`CERT:KEY`, each time."""
    pairs = []
    for value in values:
        cert, colon, key = value.partition(":")
        if not (cert and colon and key):
            raise click.BadParameter(f"{value!r} is not of the form CERT:KEY.")
        pairs.append(CertificateFiles(cert=Path(cert), key=Path(key)))
    return tuple(pairs)


def _protocol(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """One of `PROTOCOLS`, with or without Node's ending."""
    name = value.removesuffix(_METHOD)
    if name not in PROTOCOLS:
        known = ", ".join(filter(None, PROTOCOLS))
        raise click.BadParameter(f"{value!r} is not one of {known}. Anything older than TLS 1.2 is not spoken.")
    return name


_OPTIONS: Final = (
    click.option("--ssl-cert", type=_FILE, help="Speak https: certificate and chain, PEM."),
    click.option("--ssl-key", type=_FILE, help="Its key, PEM."),
    click.option(
        "--ssl-sni-cert", multiple=True, callback=_pair, help="CERT:KEY for the names in it (SNI); may be repeated."
    ),
    click.option("--ssl-ca", type=_FILE, help="Authorities of browsers' certificates, PEM."),
    click.option("--ssl-request-cert", is_flag=True, help="Ask browsers for a certificate."),
    click.option("--ssl-reject-unauthorized", is_flag=True, help="Refuse browsers without a good one."),
    click.option("--ssl-protocol", default="", callback=_protocol, help="TLSv1_2 or TLSv1_3 alone; else both."),
    click.option("--ssl-ciphers", default=CIPHERS, help="Suites of TLS 1.2, as OpenSSL lists them."),
    click.option("--ssl-allow-rc4", is_flag=True, help="Refused: RC4 is broken."),
    click.option("--ssl-dhparam", help="Refused: elliptic curves have no parameters to set."),
    click.option("--api-ssl-cert", type=_FILE, help="The same for the control API."),
    click.option("--api-ssl-key", type=_FILE, help="Its key."),
    click.option("--api-ssl-ca", type=_FILE, help="Authorities of callers' certificates."),
    click.option("--api-ssl-request-cert", is_flag=True, help="Ask callers for a certificate."),
    click.option("--api-ssl-reject-unauthorized", is_flag=True, help="Refuse callers without a good one."),
    click.option("--client-ssl-cert", type=_FILE, help="What is shown to https servers that ask."),
    click.option("--client-ssl-key", type=_FILE, help="Its key."),
    click.option("--client-ssl-ca", type=_FILE, help="Authorities of https servers; else the system's."),
    click.option("--client-ssl-request-cert", is_flag=True, help="Always so: servers must have a certificate."),
    click.option("--client-ssl-reject-unauthorized", is_flag=True, help="Always so, but for --insecure."),
    click.option("--insecure", is_flag=True, help="Do not check the certificates of https servers."),
    click.option("--redirect-port", type=_PORT, help="Plain HTTP here is sent to https."),
    click.option("--redirect-to", type=_PORT, help="The https port that it is sent to.  [default: --port]"),
)
_ACME_OPTIONS: Final = (
    click.option("--acme-domain", multiple=True, help="Obtain and renew a certificate for it; may be repeated."),
    click.option("--acme-email", default="", help="Where the authority writes to."),
    click.option("--acme-server", default=DEFAULT_SERVER, help="Directory of the authority."),
    click.option("--acme-ca", type=_FILE, help="Authorities of that server itself; else the system's."),
    click.option("--acme-dir", type=_FOLDER, help="Folder of account, key and certificate."),
    click.option("--acme-agree-tos", is_flag=True, help="You agree to the authority's terms."),
)


def tls_options(command: F) -> F:
    """Add all these flags."""
    for option in reversed((*_OPTIONS, *_ACME_OPTIONS)):
        command = option(command)
    return command


def acme_options(command: F) -> F:
    """Add the flags about the certificate that is obtained."""
    for option in reversed(_ACME_OPTIONS):
        command = option(command)
    return command


def read_tls(given: Mapping[str, Any], passphrases: Mapping[str, str], *, inherited: frozenset[str]) -> TlsConfig:
    """
    What the flags come to.

    Args:
        given: their values.
        passphrases: of encrypted keys, by the variables that have them.
        inherited: names of sockets that a supervisor handed down.

    Raises:
        click.UsageError: they contradict each other, or one does nothing.
    """
    for name, why in _REFUSED.items():
        if given[name]:
            raise click.UsageError(f"{_flag(name)}: {why}")
    acme = read_acme(given)
    public = _public(given, acme, passphrases.get(KEY_PASSPHRASE_VARIABLE, ""))
    has_redirects = given["redirect_port"] is not None or REDIRECT in inherited
    if public is None:
        _refuse_alone(given, ("redirect_port", "redirect_to"), "--ssl-cert or --acme-domain")
    elif not has_redirects:
        _refuse_alone(given, ("redirect_to",), "--redirect-port")
    if acme is not None and not has_redirects:
        raise click.UsageError("--acme-domain needs --redirect-port: the authority looks for its challenge on port 80.")
    return TlsConfig(
        public=public,
        api=_server(given, "api_ssl_", (), passphrases.get(API_KEY_PASSPHRASE_VARIABLE, "")),
        client=_client(given),
        redirect_port=given["redirect_port"],
        redirect_to=given["redirect_to"],
        acme=acme,
    )


def _public(given: Mapping[str, Any], acme: AcmeSettings | None, passphrase: str) -> ServerTls | None:
    obtained: tuple[CertificateFiles, ...] = ()
    if acme is not None:
        if given["ssl_cert"]:
            raise click.UsageError("--acme-domain obtains the certificate that --ssl-cert names: give one of them.")
        path = certificate_in(acme.folder)
        obtained = (CertificateFiles(cert=path, key=path, may_be_missing=True),)
    more = given["ssl_sni_cert"]
    policy = {"protocol": given["ssl_protocol"], "ciphers": given["ssl_ciphers"]}
    server = _server(given, "ssl_", (*obtained, *more), passphrase, **policy)
    if server is not None and more and not (obtained or given["ssl_cert"]):
        raise click.UsageError("--ssl-sni-cert needs --ssl-cert or --acme-domain: the certificate for all other names.")
    if server is None and (given["ssl_protocol"] or given["ssl_ciphers"] != CIPHERS):
        raise click.UsageError("--ssl-protocol and --ssl-ciphers need --ssl-cert or --acme-domain.")
    return server


def _server(
    given: Mapping[str, Any],
    prefix: str,
    more: tuple[CertificateFiles, ...],
    passphrase: str,
    **settings: str,
) -> ServerTls | None:
    certificate = _certificate(given, prefix)
    certificates = ((certificate,) if certificate else ()) + more
    ca, request, require = (given[f"{prefix}{name}"] for name in ("ca", "request_cert", "reject_unauthorized"))
    if not certificates:
        names = tuple(f"{prefix}{name}" for name in ("ca", "request_cert", "reject_unauthorized"))
        _refuse_alone(given, names, _flag(f"{prefix}cert"))
        return None
    if require and not request:
        raise click.UsageError(f"{_flag(f'{prefix}reject_unauthorized')} needs {_flag(f'{prefix}request_cert')}.")
    if bool(ca) != bool(request):
        raise click.UsageError(f"{_flag(f'{prefix}request_cert')} and {_flag(f'{prefix}ca')} need each other.")
    return ServerTls(
        certificates=certificates,
        passphrase=passphrase,
        client_ca=ca,
        request_cert=request,
        require_cert=require,
        **settings,
    )


def _client(given: Mapping[str, Any]) -> ClientTls:
    if given["insecure"] and given["client_ssl_reject_unauthorized"]:
        raise click.UsageError("--insecure and --client-ssl-reject-unauthorized contradict each other.")
    return ClientTls(
        certificate=_certificate(given, "client_ssl_"), ca=given["client_ssl_ca"], verify=not given["insecure"]
    )


def read_acme(given: Mapping[str, Any]) -> AcmeSettings | None:
    """
    What certificate is to be obtained; None if none is.

    Raises:
        click.UsageError: something is missing, or cannot be.
    """
    if not given["acme_domain"]:
        _refuse_alone(given, ("acme_email", "acme_ca", "acme_dir", "acme_agree_tos"), "--acme-domain")
        return None
    if not given["acme_agree_tos"]:
        raise click.UsageError("--acme-agree-tos is missing: read the authority's terms, and agree to them by it.")
    if given["acme_dir"] is None:
        raise click.UsageError("--acme-dir is missing: the folder of account, key and certificate.")
    for domain in given["acme_domain"]:
        if "." not in domain or strict_host(domain) != domain:
            raise click.UsageError(f"--acme-domain: {domain!r} is no name that a challenge by HTTP can be made for.")
    if find_spec("acme") is None:
        raise click.UsageError("--acme-domain needs a library that is not installed: pip install 'perijove[acme]'.")
    return AcmeSettings(
        domains=given["acme_domain"],
        folder=given["acme_dir"],
        email=given["acme_email"],
        server=given["acme_server"],
        ca=given["acme_ca"],
    )


def _certificate(given: Mapping[str, Any], prefix: str) -> CertificateFiles | None:
    cert, key = given[f"{prefix}cert"], given[f"{prefix}key"]
    if bool(cert) != bool(key):
        raise click.UsageError(f"{_flag(f'{prefix}cert')} and {_flag(f'{prefix}key')} need each other.")
    return CertificateFiles(cert=cert, key=key) if cert else None


def _refuse_alone(given: Mapping[str, Any], names: tuple[str, ...], needed: str) -> None:
    for name in names:
        if given[name]:
            raise click.UsageError(f"{_flag(name)} needs {needed}.")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
