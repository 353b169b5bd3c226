"""
What certificate is wanted, and from whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Let's Encrypt.
DEFAULT_SERVER: Final = "https://acme-v02.api.letsencrypt.org/directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeSettings:
    """A wish for one certificate."""

    #: names that it is for; the first is its common name in logs
    domains: tuple[str, ...]
    #: folder of account, key, certificate and challenges, 0700
    folder: Path
    #: where the authority writes to before a certificate ends; may be empty
    email: str = ""
    #: URL of the authority's directory
    server: str = DEFAULT_SERVER
    #: authorities that the server's own certificate must come from, PEM; None: the system's
    ca: Path | None = None
