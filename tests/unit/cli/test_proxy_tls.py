"""
The flags of the proxy about TLS: what they come to, and what is refused in words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from perijove.cli.proxy_tls import read_tls, tls_options
from perijove.proxy.config import TlsConfig
from perijove.proxy.net.tls import CIPHERS, CertificateFiles, ClientTls, ServerTls

PAIR = CertificateFiles(cert=Path("c"), key=Path("k"))
BASE = ("--ssl-cert", "c", "--ssl-key", "k")
ACME = ("--acme-domain", "a.org", "--acme-agree-tos", "--acme-dir", "d")


def told(*flags: str, inherited: frozenset[str] = frozenset(), **environ: str) -> tuple[TlsConfig | None, str]:
    """What *flags* come to, and what is said about them."""
    results: list[TlsConfig] = []

    @click.command
    @tls_options
    def command(**given: Any) -> None:
        results.append(read_tls(given, environ, inherited=inherited))

    outcome = CliRunner().invoke(command, flags)
    return (results[0] if results else None), outcome.output


def read(*flags: str, inherited: frozenset[str] = frozenset(), **environ: str) -> TlsConfig:
    """What *flags*, which are good, come to."""
    config, output = told(*flags, inherited=inherited, **environ)
    assert config is not None, output
    return config


def test_without_flags_nothing_is_encrypted_and_https_servers_are_checked() -> None:
    assert read() == TlsConfig(public=None, api=None, client=ClientTls(verify=True))


def test_certificate_and_key_make_the_public_port_speak_https() -> None:
    assert read(*BASE).public == ServerTls(certificates=(PAIR,), ciphers=CIPHERS)


def test_further_certificates_come_after_the_default_one() -> None:
    config = read(*BASE, "--ssl-sni-cert", "a:b", "--ssl-sni-cert", "d:e:f")

    assert config.public is not None
    assert [(str(files.cert), str(files.key)) for files in config.public.certificates] == [
        ("c", "k"),
        ("a", "b"),
        ("d", "e:f"),
    ]


def test_passphrases_come_from_the_environment() -> None:
    config = read(
        *BASE,
        *("--api-ssl-cert", "c", "--api-ssl-key", "k"),
        CONFIGPROXY_SSL_KEY_PASSPHRASE="p",
        CONFIGPROXY_API_SSL_KEY_PASSPHRASE="a",
    )

    assert config.public is not None
    assert config.api is not None
    assert (config.public.passphrase, config.api.passphrase) == ("p", "a")
    assert "passphrase" not in repr(config)


@pytest.mark.parametrize("prefix", ["", "api-"])
def test_client_certificates_can_be_asked_for_and_required(prefix: str) -> None:
    flags = [word.replace("--ssl", f"--{prefix}ssl") for word in (*BASE, "--ssl-ca", "ca", "--ssl-request-cert")]
    asked, required = read(*flags), read(*flags, f"--{prefix}ssl-reject-unauthorized")
    before, after = (asked.api, required.api) if prefix else (asked.public, required.public)

    assert before is not None
    assert after is not None
    assert (before.client_ca, before.request_cert, before.require_cert) == (Path("ca"), True, False)
    assert after.require_cert


@pytest.mark.parametrize(
    ("word", "protocol"), [("TLSv1_2", "TLSv1_2"), ("TLSv1_3_method", "TLSv1_3"), ("TLS_method", "TLS")]
)
def test_protocols_have_nodes_names(word: str, protocol: str) -> None:
    config = read(*BASE, "--ssl-protocol", word)

    assert config.public is not None
    assert config.public.protocol == protocol


def test_jupyterhubs_flags_for_servers_are_taken() -> None:
    """
    Its internal_ssl gives all five.
    """
    config = read(
        *("--client-ssl-cert", "c", "--client-ssl-key", "k", "--client-ssl-ca", "ca"),
        *("--client-ssl-request-cert", "--client-ssl-reject-unauthorized"),
    )

    assert config.client == ClientTls(certificate=PAIR, ca=Path("ca"), verify=True)


def test_insecure_means_that_servers_are_not_checked() -> None:
    assert not read("--insecure").client.verify


def test_a_certificate_that_is_obtained_is_the_default_one() -> None:
    config = read(*ACME, "--redirect-port", "80", "--acme-domain", "b.org", "--ssl-sni-cert", "a:b")

    assert config.acme is not None
    assert config.acme.domains == ("a.org", "b.org")
    assert config.public is not None
    assert [files.may_be_missing for files in config.public.certificates] == [True, False]


def test_a_port_for_redirects_may_come_from_a_supervisor() -> None:
    config = read(*ACME, "--redirect-to", "443", inherited=frozenset({"redirect"}))

    assert (config.redirect_port, config.redirect_to) == (None, 443)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--ssl-cert", "c"), "--ssl-cert and --ssl-key need each other"),
        (("--api-ssl-key", "k"), "--api-ssl-cert and --api-ssl-key need each other"),
        (("--client-ssl-key", "k"), "--client-ssl-cert and --client-ssl-key need each other"),
        (("--ssl-ca", "c"), "--ssl-ca needs --ssl-cert"),
        (("--api-ssl-request-cert",), "--api-ssl-request-cert needs --api-ssl-cert"),
        ((*BASE, "--ssl-ca", "c"), "--ssl-request-cert and --ssl-ca need each other"),
        ((*BASE, "--ssl-request-cert"), "--ssl-request-cert and --ssl-ca need each other"),
        ((*BASE, "--ssl-reject-unauthorized"), "--ssl-reject-unauthorized needs --ssl-request-cert"),
        (("--ssl-sni-cert", "c:k"), "--ssl-sni-cert needs --ssl-cert or --acme-domain"),
        ((*BASE, "--ssl-sni-cert", "c"), "CERT:KEY"),
        (("--ssl-protocol", "TLSv1_2"), "need --ssl-cert"),
        (("--ssl-ciphers", "HIGH"), "need --ssl-cert"),
        ((*BASE, "--ssl-protocol", "SSLv3"), "older than TLS 1.2"),
        ((*BASE, "--ssl-protocol", "TLSv1_1_method"), "older than TLS 1.2"),
        ((*BASE, "--ssl-allow-rc4"), "RC4 is broken"),
        ((*BASE, "--ssl-dhparam", "f"), "elliptic curves"),
        (("--redirect-port", "80"), "--redirect-port needs --ssl-cert"),
        ((*BASE, "--redirect-to", "443"), "--redirect-to needs --redirect-port"),
        (("--insecure", "--client-ssl-reject-unauthorized"), "contradict"),
        (("--acme-email", "a@b"), "--acme-email needs --acme-domain"),
        (("--acme-agree-tos",), "--acme-agree-tos needs --acme-domain"),
        (("--acme-domain", "a.org", "--redirect-port", "80"), "--acme-agree-tos is missing"),
        (("--acme-domain", "a.org", "--acme-agree-tos", "--redirect-port", "80"), "--acme-dir is missing"),
        (ACME, "--acme-domain needs --redirect-port"),
        ((*ACME, *BASE, "--redirect-port", "80"), "give one of them"),
    ],
)
def test_what_contradicts_or_does_nothing_is_refused(flags: tuple[str, ...], message: str) -> None:
    config, output = told(*flags)

    assert config is None
    assert message in " ".join(output.split())
