from __future__ import annotations

from perijove.authenticators.dummy import DummyAuthenticator
from perijove.authenticators.testing import form


async def test_any_password_will_do() -> None:
    result = await DummyAuthenticator().authenticate(form("ada", ""))

    assert result is not None
    assert result.name == "ada"


async def test_a_configured_password_is_demanded() -> None:
    authenticator = DummyAuthenticator(password="sesame")

    assert await authenticator.authenticate(form("ada", "simsim")) is None
    assert await authenticator.authenticate(form("ada", "sesame")) is not None


def test_believing_somebody_is_not_admitting_them() -> None:
    assert not DummyAuthenticator().is_allowed("ada", exists=False)
