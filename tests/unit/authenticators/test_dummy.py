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


async def test_there_is_something_to_remember_only_if_that_is_wanted() -> None:
    form = {"username": "ada", "password": "x"}
    plain, remembering = DummyAuthenticator(), DummyAuthenticator(enable_auth_state=True)

    without, with_state = await plain.authenticate(form), await remembering.authenticate(form)

    assert without is not None
    assert with_state is not None
    assert (without.auth_state, with_state.auth_state) == (None, {"name": "ada"})
