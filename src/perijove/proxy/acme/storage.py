"""
The files of a certificate that is obtained: account key, certificate with key, answers to challenges.

Law: whatever holds a key is 0600 from its first byte, and is replaced in one step, so that nobody ever reads a
certificate without its own key. The folder belongs to the user that the proxy runs as.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from perijove.kit.files import replace_secret
from perijove.proxy.core.redirects import is_token
from perijove.proxy.core.renewal import Validity

_FOLDER: Final = 0o700


def challenges_in(folder: Path) -> Path:
    """Where answers to challenges are, each in a file named by its token."""
    return folder / "challenges"


def certificate_in(folder: Path) -> Path:
    """One PEM file: the certificate, its chain and its key."""
    return folder / "certificate.pem"


def account_key_in(folder: Path) -> Path:
    """The key by which the authority knows us."""
    return folder / "account.pem"


def prepare(folder: Path) -> None:
    """
    Make the folders that are missing.

    Raises:
        OSError: they cannot be made.
    """
    for path in (folder, challenges_in(folder)):
        path.mkdir(mode=_FOLDER, parents=True, exist_ok=True)


def write_challenge(folder: Path, token: str, answer: str) -> Path:
    """
    Let *answer* be what the authority finds for *token*.

    Raises:
        ValueError: *token* is none.
        OSError: it cannot be written.
    """
    if not is_token(token):
        raise ValueError(f"{token!r} is no token of a challenge")
    path = challenges_in(folder) / token
    replace_secret(path, answer.encode("ascii"))
    return path


def read_validity(folder: Path) -> Validity | None:
    """When the certificate at hand is good, and for whom; None if there is none that can be read."""
    # A tenth of the proxy's start, and most obtain no certificates.
    from cryptography import x509  # noqa: PLC0415

    try:
        certificate = x509.load_pem_x509_certificate(certificate_in(folder).read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None
    return Validity(
        begins=certificate.not_valid_before_utc.timestamp(),
        ends=certificate.not_valid_after_utc.timestamp(),
        names=frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName)),
    )
