"""
Certificates for tests, from an authority that exists for one test.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from perijove.proxy.net.tls import CertificateFiles


class Authority:
    """A certificate authority, and files with what it has signed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = trustme.CA()
        self._count = 0
        #: its own certificate
        self.path = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.path))

    def issue(self, *names: str, rsa: bool = False) -> CertificateFiles:
        """A new certificate for *names*."""
        self._count += 1
        files = CertificateFiles(
            cert=self._folder / f"cert-{self._count}.pem", key=self._folder / f"key-{self._count}.pem"
        )
        self.issue_into(files, *names, rsa=rsa)
        return files

    def issue_into(self, files: CertificateFiles, *names: str, rsa: bool = False) -> None:
        """A new certificate for *names* in the place of an old one."""
        issued = self._ca.issue_cert(*names, key_type=trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA)
        files.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        files.key.write_bytes(issued.private_key_pem.bytes())
        files.key.chmod(0o600)

    def encrypt(self, files: CertificateFiles, passphrase: bytes) -> None:
        """Encrypt the key of *files*."""
        key = load_pem_private_key(files.key.read_bytes(), None)
        files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase)))

    def client(self, certificate: CertificateFiles | None = None) -> ssl.SSLContext:
        """The context of a client that trusts this authority, and may have a certificate of its own."""
        context = ssl.create_default_context(cafile=str(self.path))
        if certificate is not None:
            context.load_cert_chain(certificate.cert, certificate.key)
        return context
