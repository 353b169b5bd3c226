from __future__ import annotations

import pytest

from tests.unit.hub.web.rig import Rig


async def test_a_token_is_made_listed_read_and_revoked(rig: Rig) -> None:
    async with rig.program(await rig.token("bob")) as bob:
        made = await bob.post("/hub/api/users/bob/tokens", json={"note": "backup", "expires_in": 3600})
        token = made.json()
        listed = (await bob.get("/hub/api/users/bob/tokens")).json()["api_tokens"]
        read = await bob.get(f"/hub/api/users/bob/tokens/{token['id']}")
        revoked = await bob.delete(f"/hub/api/users/bob/tokens/{token['id']}")
        gone = await bob.get(f"/hub/api/users/bob/tokens/{token['id']}")

    assert made.status_code == 201
    assert len(token["token"]) == 32
    assert (token["note"], token["kind"], token["roles"]) == ("backup", "api_token", [])
    assert token["expires_at"] == "2026-01-02T04:04:05.000000Z"
    assert token["id"] in {item["id"] for item in listed}
    assert "token" not in read.json()
    assert (read.status_code, revoked.status_code, gone.status_code) == (200, 204, 404)


@pytest.mark.parametrize(
    "body",
    [
        {"expires_in": -1},
        {"expires_in": "soon"},
        {"expires_in": True},
        {"scopes": ["no:such"]},
        {"scopes": ["admin:users"]},
        {"scopes": [], "roles": []},
        {"roles": ["no-such-role"]},
        {"colour": "red"},
        {"note": 1},
    ],
)
async def test_a_token_that_cannot_be_is_refused(rig: Rig, body: dict[str, object]) -> None:
    async with rig.program(await rig.token("bob")) as bob:
        assert (await bob.post("/hub/api/users/bob/tokens", json=body)).status_code == 400


async def test_tokens_of_others_are_out_of_reach(rig: Rig) -> None:
    async with rig.program(await rig.token("eve")) as eve:
        answers = [await eve.get("/hub/api/users/bob/tokens"), await eve.post("/hub/api/users/bob/tokens")]

    assert all(answer.status_code in {403, 404} for answer in answers)


async def test_a_narrow_token_makes_no_wider_one(rig: Rig) -> None:
    narrow = await rig.token("bob", ["tokens!user"])
    async with rig.program(narrow) as bob:
        answer = await bob.post("/hub/api/users/bob/tokens", json={"scopes": ["access:servers!user"]})

    assert answer.status_code == 400


async def test_nobody_learns_who_exists_by_making_tokens(rig: Rig) -> None:
    async with rig.program(await rig.token("ada")) as ada:
        assert (await ada.post("/hub/api/users/nobody/tokens")).status_code == 403
