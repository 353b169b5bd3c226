"""
TLS contexts from files: for browsers (`CertificateStore`, which can be swapped while connections are open), for the
control API, and for servers that speak https.

What is never spoken: anything older than TLS 1.2, compression, renegotiation, cipher suites without forward secrecy
or authenticated encryption. Who is given which certificate is `core/servernames.py`; handshakes are `handshakes.py`.
"""

from __future__ import annotations

import ssl
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from perijove.proxy.core.errors import ProxyError
from perijove.proxy.core.servernames import ServerNames

if TYPE_CHECKING:
    from cryptography import x509

log = structlog.get_logger(__name__)

#: TLS 1.2 suites with forward secrecy and authenticated encryption; those of TLS 1.3 all have both (RFC 9325).
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
#: The one protocol that is relayed.
ALPN: Final = ("http/1.1",)
#: configurable-http-proxy's words (without OpenSSL's `_method`) → lowest and highest version; empty is the default.
PROTOCOLS: Final = {
    "": (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED),
    "TLS": (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED),
    "TLSv1_2": (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2),
    "TLSv1_3": (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.MAXIMUM_SUPPORTED),
}
_LOCKED: Final = "the key is encrypted, and the passphrase does not fit"


class UnusableTls(ProxyError):
    """A certificate, key, authority or cipher list cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """A certificate with its chain, and its key, as PEM; one file may hold both."""

    cert: Path
    key: Path
    #: whether they may be missing at start, because they are still being obtained
    may_be_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """How TLS is spoken with clients."""

    #: the first answers to names that no other has, and to clients that name nobody
    certificates: Sequence[CertificateFiles]
    #: of encrypted keys
    passphrase: str = field(default="", repr=False)
    #: authorities of client certificates, PEM
    client_ca: Path | None = None
    #: whether clients are asked for a certificate; one that is sent must be good
    request_cert: bool = False
    #: whether clients without a good certificate are refused
    require_cert: bool = False
    #: one of `PROTOCOLS`
    protocol: str = ""
    #: cipher suites of TLS 1.2 in OpenSSL's notation
    ciphers: str = CIPHERS


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """How TLS is spoken with servers behind the proxy, and with a hub at an https address."""

    #: what the proxy shows to servers that ask
    certificate: CertificateFiles | None = None
    passphrase: str = field(default="", repr=False)
    #: authorities that servers' certificates must come from; None: the system's
    ca: Path | None = None
    #: whether servers' certificates and names are checked
    verify: bool = True


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Files that were good."""

    context: ssl.SSLContext
    names: tuple[str, ...]


class CertificateStore:
    """
    The certificates of one listener. Every handshake takes `context` as it is then; open connections keep theirs.
    """

    def __init__(self, settings: ServerTls) -> None:
        """
        Raises:
            UnusableTls: one of the files, or the cipher list, is no good.
        """
        self._settings = settings
        self._loaded: dict[CertificateFiles, _Loaded] = {}
        for files in settings.certificates:
            if not _is_still_missing(files):
                self._loaded[files] = _load(files, settings)
        self._context = self._compose()

    @property
    def context(self) -> ssl.SSLContext:
        """What the next handshake is made with. Without any certificate it fails, and the client is told so."""
        return self._context

    @property
    def has_certificate(self) -> bool:
        """Whether handshakes can succeed."""
        return bool(self._loaded)

    def reload(self, settings: ServerTls) -> bool:
        """
        Read all files again, now by *settings*; whether all are good.

        If not, the log says so. Files that were good once stay as they were; of others nothing good is known, and all
        stays as it was.
        """
        is_good, fresh = True, {}
        try:
            _server_context(settings)
            for files in settings.certificates:
                known = self._loaded.get(files)
                if not _is_still_missing(files):
                    fresh[files], was_good = _load_or_keep(files, settings, known)
                    is_good = is_good and was_good
                elif known is not None:
                    fresh[files] = known
        except UnusableTls as exc:
            log.warning("tls.not_reloaded", reason=str(exc))
            return False
        self._settings, self._loaded = settings, fresh
        self._context = self._compose()
        return is_good

    def _compose(self) -> ssl.SSLContext:
        names: ServerNames[ssl.SSLContext] = ServerNames()
        loaded = [self._loaded[files] for files in self._settings.certificates if files in self._loaded]
        for known in loaded:
            names.add(known.names, known.context)
        if not loaded:
            return _server_context(self._settings)
        default = loaded[0].context
        default.sni_callback = _choosing(names)
        return default


def _is_still_missing(files: CertificateFiles) -> bool:
    return files.may_be_missing and not files.cert.exists()


def _choosing(names: ServerNames[ssl.SSLContext]) -> Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]:
    def choose(connection: ssl.SSLObject, name: str | None, _default: ssl.SSLContext) -> None:
        context = names.find(name)
        if context is not None:
            connection.context = context

    return choose


def _load_or_keep(files: CertificateFiles, settings: ServerTls, known: _Loaded | None) -> tuple[_Loaded, bool]:
    """What is in *files* now, and whether it is good; else what was *known*, if anything was."""
    try:
        return _load(files, settings), True
    except UnusableTls as exc:
        if known is None:
            raise
        log.warning("tls.not_reloaded", certificate=str(files.cert), reason=str(exc))
        return known, False


def _load(files: CertificateFiles, settings: ServerTls) -> _Loaded:
    context = _server_context(settings)
    _load_pair(context, files, settings.passphrase)
    return _Loaded(context=context, names=names_in(files.cert))


def _server_context(settings: ServerTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context, settings.protocol, settings.ciphers)
    context.set_alpn_protocols(ALPN)
    if settings.client_ca is not None:
        _load_authorities(context, settings.client_ca)
    if settings.require_cert:
        context.verify_mode = ssl.CERT_REQUIRED
    elif settings.request_cert:
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


class OutgoingTls:
    """TLS with servers: one context for all of them."""

    def __init__(self, settings: ClientTls | None = None) -> None:
        """
        Raises:
            UnusableTls: one of the files is no good.
        """
        self._settings = settings or ClientTls()
        # The system's authorities are half a megabyte that most proxies never need.
        is_needed = self._settings.certificate is not None or self._settings.ca is not None
        self._context = _client_context(self._settings) if is_needed else None

    @property
    def context(self) -> ssl.SSLContext:
        """What the next connection is made with."""
        if self._context is None:
            self._context = _client_context(self._settings)
        return self._context

    def reload(self, settings: ClientTls) -> bool:
        """Read all files again, now by *settings*; whether they are good. If not, the log says so; what was stays."""
        try:
            fresh = OutgoingTls(settings)
        except UnusableTls as exc:
            log.warning("tls.not_reloaded", reason=str(exc))
            return False
        self._settings, self._context = settings, fresh._context
        return True


class TrafficTls:
    """
    All TLS of the traffic, loaded: what browsers are shown, and how servers are spoken with.

    A process that is copied hands its own to the copy, which so begins with what was good last, whatever has happened
    to the files since; and copies can resume each other's sessions.
    """

    def __init__(self, public: ServerTls | None, client: ClientTls) -> None:
        """
        Raises:
            UnusableTls: one of the files is no good.
        """
        #: None: browsers speak plain HTTP
        self.certificates = CertificateStore(public) if public else None
        self.outgoing = OutgoingTls(client)

    def reload(self, public: ServerTls | None, client: ClientTls) -> bool:
        """Read all files again, now by these settings; whether all are good. What is not leaves the old in place."""
        was_good = self.outgoing.reload(client)
        if self.certificates is None or public is None:
            return was_good
        return self.certificates.reload(public) and was_good


def _client_context(settings: ClientTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context, "", CIPHERS)
    context.set_alpn_protocols(ALPN)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca is not None:
        _load_authorities(context, settings.ca)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if settings.certificate is not None:
        _load_pair(context, settings.certificate, settings.passphrase)
    return context


def names_in(path: Path) -> tuple[str, ...]:
    """
    The DNS names that the first certificate of *path* is for; `Common Name` is no name (RFC 9110 section 4.3.4).

    Raises:
        UnusableTls: there is no certificate.
    """
    from cryptography import x509  # noqa: PLC0415  # as below

    certificate = read_certificate(path)
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    except ValueError as exc:
        raise UnusableTls(f"{path}: {exc}") from exc
    return tuple(extension.value.get_values_for_type(x509.DNSName))


def read_certificate(path: Path) -> x509.Certificate:
    """
    The first certificate of a PEM file.

    Raises:
        UnusableTls: there is none.
    """
    # A tenth of the proxy's start, and most have no certificates.
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as exc:
        raise UnusableTls(f"{path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise UnusableTls(f"{path}: there is no certificate in it") from exc


def readable_by_others(files: CertificateFiles) -> bool:
    """Whether any user of this machine can read the key."""
    try:
        return bool(files.key.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _restrict(context: ssl.SSLContext, protocol: str, ciphers: str) -> None:
    context.minimum_version, context.maximum_version = PROTOCOLS[protocol]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError as exc:
        raise UnusableTls(f"No cipher suite is left by {ciphers!r}.") from exc


def _load_pair(context: ssl.SSLContext, files: CertificateFiles, passphrase: str) -> None:
    try:
        # Always with a passphrase: without one OpenSSL would ask the terminal for it, and wait for ever.
        context.load_cert_chain(files.cert, files.key, password=lambda: passphrase)
    except FileNotFoundError as exc:
        missing = files.key if files.cert.exists() else files.cert
        raise UnusableTls(f"{missing}: there is no such file") from exc
    except (OSError, ValueError) as exc:
        why = _LOCKED if _is_encrypted(files.key) else _reason(exc)
        raise UnusableTls(f"{files.cert} with {files.key}: {why}") from exc


def _is_encrypted(key: Path) -> bool:
    """Whether a key has a passphrase; OpenSSL gives no reason when that is what is wrong."""
    try:
        return b"ENCRYPTED" in key.read_bytes()
    except OSError:
        return False


def _load_authorities(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ValueError) as exc:
        raise UnusableTls(f"{path}: {_reason(exc)}") from exc


def _reason(exc: Exception) -> str:
    """An OpenSSL error in words."""
    if isinstance(exc, ssl.SSLError):
        known = {
            "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
            "NO_CERTIFICATE_OR_CRL_FOUND": "there is no certificate in it",
        }
        return known.get(exc.reason or "", exc.reason or "it is no certificate and key in PEM form")
    return (exc.strerror if isinstance(exc, OSError) else "") or str(exc)
