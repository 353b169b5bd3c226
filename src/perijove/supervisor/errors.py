"""
What keeps perijove from starting.

    StartError
    ├── AddressInUse       somebody listens there already
    ├── AddressRefused     the system does not let us listen there
    ├── FolderUnusable     a folder cannot be made, written or trusted
    ├── AlreadyRunning     another perijove uses these folders
    ├── CertificateUnreadable  the certificate or its key cannot be read or handed to the proxy
    └── EnvironmentUnsafe  other users could change, or cannot read, the programs that root would run
"""

from __future__ import annotations


class StartError(Exception):
    """perijove cannot start."""


class AddressInUse(StartError):
    """Somebody listens there already."""


class AddressRefused(StartError):
    """The system does not let us listen there."""


class FolderUnusable(StartError):
    """A folder cannot be used."""


class AlreadyRunning(StartError):
    """Another perijove is running with these folders."""


class CertificateUnreadable(StartError):
    """The certificate cannot be read."""


class EnvironmentUnsafe(StartError):
    """The Python environment is not one that servers of other users can be run from."""
