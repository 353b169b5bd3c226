"""
The public port's certificate: from an administrator's files, which often only root may read, to where the proxy can.

Law: the folder is root's, so that the proxy, which talks to strangers, can read its certificate and not replace it,
nor put a link where root will write. Certificate and key are one file, replaced in one step: nobody ever reads one
without the other. What is in it is the proxy's to understand; nothing is parsed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from perijove.kit.files import replace_secret
from perijove.supervisor.errors import CertificateUnreadable
from perijove.supervisor.plan import Identity

_READABLE = 0o400


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentTls:
    """How the whole deployment speaks https."""

    #: an administrator's certificate and key; None: the proxy obtains its own
    cert: Path | None = None
    key: Path | None = None
    #: port for plain HTTP that leads to https; 0: none
    redirect_port: int = 0
    #: the https port as browsers see it
    redirect_to: int = 443
    #: the proxy's words about the certificate that it obtains
    acme_words: tuple[str, ...] = ()


def copy_certificate(tls: DeploymentTls, path: Path, owner: Identity | None) -> None:
    """
    Put the administrator's certificate and key at *path*, for *owner* alone to read; nothing to do without one.

    Raises:
        CertificateUnreadable: one of the files cannot be read, or the copy not written; the old one stays.
    """
    if tls.cert is None or tls.key is None:
        return
    content = _read(tls.cert, "ssl_cert") + b"\n" + _read(tls.key, "ssl_key")
    try:
        replace_secret(path, content, mode=_READABLE, owner=(owner.uid, owner.gid) if owner else None)
    except OSError as exc:
        raise CertificateUnreadable(f"{path} cannot be written: {exc.strerror}.") from exc


def _read(path: Path, trait: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise CertificateUnreadable(f"c.Perijove.{trait}: {path} cannot be read: {exc.strerror}.") from exc
