from __future__ import annotations

import pytest

from tests.unit.hub.web.rig import PASSWORD, SCRIPT, Rig


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


async def test_a_program_without_a_token_gets_one_by_its_users_password(rig: Rig) -> None:
    async with rig.client() as client:
        auth = {"username": "bob", "password": PASSWORD}
        made = await client.post("/hub/api/users/bob/tokens", json={"auth": auth, "note": "first"})
    async with rig.program(made.json()["token"]) as program:
        known = (await program.get("/hub/api/user")).json()

    assert (made.status_code, made.json()["note"], known["name"]) == (201, "first", "bob")


@pytest.mark.parametrize(
    ("path", "auth"),
    [
        ("bob", {"username": "bob", "password": "wrong"}),
        ("bob", {"username": "eve", "password": PASSWORD}),
        ("nobody", {"username": "bob", "password": PASSWORD}),
        ("bob", {}),
        ("bob", None),
    ],
)
async def test_what_proves_nothing_gets_no_token(rig: Rig, path: str, auth: object) -> None:
    async with rig.client() as client:
        answer = await client.post(f"/hub/api/users/{path}/tokens", json={"auth": auth})

    # Of somebody else's tokens one is told what those are told who have signed in: not even that they exist.
    assert answer.status_code in {403, 404}
    assert "token" not in answer.json()


async def test_passwords_cannot_be_tried_without_end(rig: Rig) -> None:
    async with rig.client() as client:
        auth = {"username": "bob", "password": "wrong"}
        answers = [(await client.post("/hub/api/users/bob/tokens", json={"auth": auth})).status_code for _ in range(5)]

    assert answers == [403, 403, 403, 429, 429]


async def test_another_sites_page_cannot_have_passwords_tried(rig: Rig) -> None:
    async with rig.client(**{**SCRIPT, "Sec-Fetch-Site": "cross-site"}) as client:
        auth = {"username": "bob", "password": PASSWORD}
        answer = await client.post("/hub/api/users/bob/tokens", json={"auth": auth})

    assert answer.status_code == 403


async def test_a_wrong_token_is_not_mended_by_a_password(rig: Rig) -> None:
    async with rig.program("f" * 32) as program:
        auth = {"username": "bob", "password": PASSWORD}
        answer = await program.post("/hub/api/users/bob/tokens", json={"auth": auth})

    assert answer.status_code == 403


@pytest.mark.parametrize("auth", ["bob", {"username": 1}, {str(number): "x" for number in range(11)}])
async def test_a_form_that_is_none_is_refused(rig: Rig, auth: object) -> None:
    async with rig.client() as client:
        answer = await client.post("/hub/api/users/bob/tokens", json={"auth": auth})

    assert answer.status_code == 400
