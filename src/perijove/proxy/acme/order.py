"""
One certificate, obtained now, with the library `acme` (RFC 8555). Runs in a process of its own.

The authority asks for a file below each domain (HTTP-01, section 8.3); the proxy's port for plain HTTP answers with
what stands in the folder of challenges. Every wait is bounded, and challenges are removed whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from perijove import __version__
from perijove.kit.files import replace_secret
from perijove.proxy.acme.settings import AcmeSettings
from perijove.proxy.acme.storage import account_key_in, certificate_in, prepare, write_challenge
from perijove.proxy.core.errors import ProxyError

#: Seconds for the authority to look at the challenges and to sign.
DEADLINE_SECONDS: Final = 120
#: Seconds for one of its answers.
ANSWER_SECONDS: Final = 30


class NoCertificate(ProxyError):
    """The authority did not issue a certificate."""


def obtain(settings: AcmeSettings) -> None:
    """
    Obtain a certificate and put it into the place of the last one.

    Raises:
        NoCertificate: with the authority's reasons, or what stands in the way.
    """
    try:
        prepare(settings.folder)
        authority = _sign_in(settings)
        key = ec.generate_private_key(ec.SECP256R1())
        order = authority.new_order(_request(settings.domains, key))
        deadline = datetime.now() + timedelta(seconds=DEADLINE_SECONDS)  # noqa: DTZ005  # as the library has it
        with _challenges_answered(settings.folder, authority, order):
            order = authority.poll_and_finalize(order, deadline)
        replace_secret(certificate_in(settings.folder), order.fullchain_pem.encode("ascii") + _pem(key))
    except (errors.Error, messages.Error, requests.RequestException, OSError, ValueError) as exc:
        raise NoCertificate(_sentence(exc)) from exc


def _sign_in(settings: AcmeSettings) -> client.ClientV2:
    """Become known to the authority, or be recognised by the account's key."""
    net = client.ClientNetwork(
        JWKEC(key=_account_key(account_key_in(settings.folder))),
        alg=ES256,
        user_agent=f"perijove/{__version__}",
        # What `requests` takes here is a path as well.
        verify_ssl=str(settings.ca) if settings.ca else True,  # type: ignore[arg-type]
        timeout=ANSWER_SECONDS,
    )
    authority = client.ClientV2(client.ClientV2.get_directory(settings.server, net), net)
    wish = messages.NewRegistration.from_data(email=settings.email or None, terms_of_service_agreed=True)
    try:
        authority.new_account(wish)
    except errors.ConflictError as exc:
        net.account = messages.RegistrationResource(uri=exc.location, body=messages.Registration())
    return authority


def _account_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        known = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        key = ec.generate_private_key(ec.SECP256R1())
        replace_secret(path, _pem(key))
        return key
    if not isinstance(known, ec.EllipticCurvePrivateKey):
        raise NoCertificate(f"{path} is not a key that perijove has made; move it away.")
    return known


def _request(domains: tuple[str, ...], key: ec.EllipticCurvePrivateKey) -> bytes:
    names = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@contextmanager
def _challenges_answered(folder: Path, authority: client.ClientV2, order: messages.OrderResource) -> Iterator[None]:
    """Put the answers where the authority looks for them, and tell it to look."""
    written: list[Path] = []
    try:
        for authorization in order.authorizations:
            if authorization.body.status == messages.STATUS_VALID:
                continue
            challenge = _http_challenge(authorization)
            response, answer = challenge.response_and_validation(authority.net.key)
            written.append(write_challenge(folder, challenge.chall.encode("token"), answer))
            authority.answer_challenge(challenge, response)
        yield
    finally:
        for path in written:
            path.unlink(missing_ok=True)


def _http_challenge(authorization: messages.AuthorizationResource) -> messages.ChallengeBody:
    for challenge in authorization.body.challenges:
        if isinstance(challenge.chall, challenges.HTTP01):
            return challenge
    raise NoCertificate(f"{authorization.body.identifier.value}: the authority offers no HTTP-01 challenge.")


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _sentence(exc: Exception) -> str:
    """What went wrong, in the authority's words where it has some."""
    if isinstance(exc, errors.ValidationError):
        return "; ".join(_failures(exc.failed_authzrs)) or "The authority did not find its challenge."
    if isinstance(exc, messages.Error):
        return f"{exc.description or exc.typ}: {exc.detail}"
    if isinstance(exc, errors.TimeoutError):
        return f"The authority did not come to an end within {DEADLINE_SECONDS} s."
    return str(exc) or type(exc).__name__


def _failures(authorizations: list[messages.AuthorizationResource]) -> Iterator[str]:
    for authorization in authorizations:
        for challenge in authorization.body.challenges:
            if challenge.error is not None:
                yield f"{authorization.body.identifier.value}: {challenge.error.detail}"
