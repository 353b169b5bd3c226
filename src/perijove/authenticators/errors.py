"""
What an authenticator can answer besides yes and no.

    AuthenticatorError
    ├── UnknownAuthenticator
    └── SignInRefused
        └── ApprovalPending
"""

from __future__ import annotations


class AuthenticatorError(Exception):
    """The authenticator could not do this."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class UnknownAuthenticator(AuthenticatorError):
    """There is no authenticator of that name."""


class SignInRefused(AuthenticatorError):
    """The credentials are right, but this person may not sign in."""


class ApprovalPending(SignInRefused):
    """Your account waits for an administrator to approve it."""
