"""
An authenticator for tests and demonstrations (contract j): any name, and any password or one for all.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from traitlets import Unicode

from perijove.authenticators.base import PASSWORD, USERNAME, Authenticator, AuthResult


class DummyAuthenticator(Authenticator):
    """Believes everybody. The names are still subject to the allow rules."""

    password = Unicode(help="If set, everybody must give this password.").tag(config=True)

    async def authenticate(self, form: Mapping[str, str]) -> AuthResult | None:
        """Whoever they say they are."""
        name = form.get(USERNAME, "")
        given = form.get(PASSWORD, "")
        if not name or (self.password and not hmac.compare_digest(given.encode(), self.password.encode())):
            return None
        # Something to remember, so that what is done with it can be tried out.
        return AuthResult(name=name, auth_state={"name": name} if self.enable_auth_state else None)
