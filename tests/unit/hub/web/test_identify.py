from __future__ import annotations

import pytest

from perijove.authenticators.base import AuthResult, KnownUser
from perijove.authenticators.native import NativeAuthenticator
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings


class Source(NativeAuthenticator):
    """Local accounts of people who can be let go elsewhere."""

    gone: frozenset[str] = frozenset()

    async def refresh_user(self, user: KnownUser) -> bool | AuthResult:
        return user.name not in type(self).gone


class Strict(Source):
    """The same, with tokens."""

    auth_refresh_strict = True


def rig_of(tasks: TaskGroup, kind: type[Source]) -> Rig:
    return Rig(tasks=tasks, settings=make_settings(), authenticator=kind)


async def test_who_is_let_go_elsewhere_is_sent_to_sign_in(tasks: TaskGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = rig_of(tasks, Source)
    await rig.add_user("ada")
    ada = await rig.signed_in("ada")
    monkeypatch.setattr(Source, "gone", frozenset({"ada"}))
    assert (await ada.get("/hub/home")).status_code == 200
    rig.clock.advance(301)

    page = await ada.get("/hub/home")
    call = await ada.get("/hub/api/user")

    assert (page.status_code, page.headers["location"]) == (302, "/hub/login?next=%2Fhub%2Fhome")
    assert call.status_code == 403


@pytest.mark.parametrize(("kind", "status"), [(Source, 200), (Strict, 403)])
async def test_tokens_of_who_is_let_go_work_on_unless_the_rules_are_strict(
    tasks: TaskGroup, monkeypatch: pytest.MonkeyPatch, kind: type[Source], status: int
) -> None:
    rig = rig_of(tasks, kind)
    await rig.add_user("ada")
    token = await rig.token("ada")
    monkeypatch.setattr(Source, "gone", frozenset({"ada"}))
    rig.clock.advance(301)

    async with rig.program(token) as program:
        assert (await program.get("/hub/api/user")).status_code == status
