"""
A certificate authority of one's own: makes itself, and signs certificates that it alone can be asked about.

A thin edge over `cryptography`. Whose authority it is, and who believes it, is `wire/trust.py`. Time comes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: How much earlier than now certificates begin: clocks of other machines are late.
LATENESS: Final = timedelta(minutes=5)


class BadAuthority(Exception):
    """What should be an authority's certificate and key in PEM form is none."""


class BadName(Exception):
    """An alternative name is neither DNS:name nor IP:address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate and its key, both PEM."""

    cert: bytes
    key: bytes = field(repr=False)


def alternative_name(text: str) -> x509.GeneralName:
    """
    Read `DNS:name` or `IP:address`, JupyterHub's way to write them (contract j, `trusted_alt_names`).

    Raises:
        BadName: it is neither.
    """
    kind, _, value = text.partition(":")
    try:
        if kind == "IP":
            return x509.IPAddress(ip_address(value))
        if kind == "DNS" and value and not value.isspace():
            return x509.DNSName(value)
    except ValueError as exc:
        raise BadName(f"{text!r} is neither DNS:name nor IP:address") from exc
    raise BadName(f"{text!r} is neither DNS:name nor IP:address")


class Authority:
    """Signs certificates of one role. No authority below it can be made (path length 0)."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def make(cls, name: str, *, now: datetime, lifetime: timedelta) -> Authority:
        """A new one, called *name*."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(name)
        built = (
            _begun(subject, subject, key.public_key(), key.public_key(), now=now, lifetime=lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
        )
        return cls(built.sign(key, hashes.SHA256()), key)

    @classmethod
    def from_pem(cls, pair: KeyPair) -> Authority:
        """
        Read what `pem` wrote, or an administrator has made.

        Raises:
            BadAuthority: it is no authority, or the key is another's or not an elliptic curve's.
        """
        try:
            certificate = x509.load_pem_x509_certificate(pair.cert)
            key = load_pem_private_key(pair.key, password=None)
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        except (ValueError, TypeError, x509.ExtensionNotFound) as exc:
            raise BadAuthority from exc
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not constraints.ca:
            raise BadAuthority
        if key.public_key() != certificate.public_key():
            raise BadAuthority
        return cls(certificate, key)

    @property
    def pem(self) -> KeyPair:
        """Its certificate, which all may read, and its key: keep it at mode 0600."""
        return _pair(self._certificate, self._key)

    def issue(
        self,
        name: str,
        *,
        alternative_names: Sequence[str],
        listens: bool,
        calls: bool,
        now: datetime,
        lifetime: timedelta,
    ) -> KeyPair:
        """
        A new key and its certificate.

        Args:
            name: for people who read it; nothing is decided by it.
            alternative_names: what whoever listens with it is called by, as `alternative_name` reads it.
            listens: whether it is good for who is called.
            calls: whether it is good for who calls.
            now: when it begins.
            lifetime: how long it is good for; never longer than the authority.

        Raises:
            BadName: one of the names is none.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH] * listens + [ExtendedKeyUsageOID.CLIENT_AUTH] * calls
        names = [alternative_name(text) for text in dict.fromkeys(alternative_names)]
        end = min(lifetime, self._certificate.not_valid_after_utc - now)
        own = self._certificate
        built = (
            _begun(_named(name), own.subject, key.public_key(), self._key.public_key(), now=now, lifetime=end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=True)
        )
        if names:
            built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return _pair(built.sign(self._key, hashes.SHA256()), key)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LATENESS)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _named(name: str) -> x509.Name:
    # At most 64 characters (RFC 5280, ub-common-name).
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        cert=certificate.public_bytes(Encoding.PEM),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
