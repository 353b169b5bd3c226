"""
Every call of the API, asked by everybody there can be: who gets which answer follows from what the route declares.

What is asked for is judged here by its own few lines, not by the code that is tested.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import product

import httpx
import pytest

from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.tokens import PREFIX_LENGTH
from perijove.hub.scopes.catalog import CATALOG, METASCOPES
from perijove.hub.web.access import Caller
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import NAVIGATION, Rig, make_settings

CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
ASSISTING = {
    "name": "assisting",
    "groups": ["assistants"],
    "scopes": [f"{scope}!group=class" for scope in CATALOG if scope not in METASCOPES],
}
#: what every token may do, for its own user
IDENTITY = frozenset({"read:users:name", "read:users:groups"})
FORBIDDEN = 403
HIDDEN = 404
SITES = ("same-origin", "same-site", "cross-site", "none", "")
#: mode and destination: a navigation, a fetch, an image, a frame, an old browser
WAYS = (("navigate", "document"), ("cors", "empty"), ("no-cors", "image"), ("navigate", "iframe"), ("", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the API and what its route asks for."""

    method: str
    path: str
    scopes: tuple[str, ...]
    partly: bool

    @property
    def is_about_a_user(self) -> bool:
        return "{user_name}" in self.path

    def address(self, user: str) -> str:
        values = {"{user_name}": user, "{server_name}": "work", "{token_id}": "a99"}
        path = self.path
        for name, value in values.items():
            path = path.replace(name, value)
        # Whatever else is in a path, nothing of that name exists.
        while "{" in path:
            before, _, rest = path.partition("{")
            path = f"{before}nothing{rest.partition('}')[2]}"
        return path


def calls_of(rig: Rig) -> Iterator[Call]:
    for route in rig.app.routes:
        access = route.access
        if isinstance(access, Caller):
            for method in sorted(route.methods):
                yield Call(method=method, path=route.path, scopes=access.scopes, partly=access.partly is not None)


async def ask(client: httpx.AsyncClient, call: Call, user: str = "bob", **headers: str) -> httpx.Response:
    body = b"{}" if call.method in CHANGES else b""
    kind = {"Content-Type": "application/json"} if body else {}
    return await client.request(call.method, call.address(user), content=body, headers={**kind, **headers})


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with TaskGroup("test") as tasks:
        rig = Rig(tasks=tasks, settings=make_settings(load_roles=[ASSISTING]))
        await rig.add_user("ada", admin=True)
        for name in ("bob", "eve", "tess"):
            await rig.add_user(name)
        async with rig.store.unit() as unit:
            for group, members in (("class", ["bob"]), ("assistants", ["tess"])):
                row = await unit.groups.put(group, properties={})
                users = [await unit.users.by_name(name) for name in members]
                await unit.groups.add_members(row.id, [user.id for user in users if user is not None])
        yield rig


async def ended_tokens(rig: Rig) -> Mapping[str, str]:
    """Tokens of an administrator that are none any more, by why."""
    revoked, expired = await rig.token("ada"), "expired-" + "0" * 24
    ada = await rig.parts.get_user("ada")
    (row, *_) = [row for row in await rig.parts.tokens.list(ada) if row.token_hash == hash_secret(revoked)]
    await rig.parts.tokens.revoke(ada, row.public_id)
    async with rig.store.unit() as unit:
        await unit.tokens.add(
            user_id=ada.id,
            prefix=expired[:PREFIX_LENGTH],
            token_hash=hash_secret(expired),
            scopes=["inherit"],
            note="",
            created=rig.clock.now() - timedelta(hours=2),
            expires_at=rig.clock.now() - timedelta(hours=1),
        )
    return {"revoked": revoked, "expired": expired, "made up": "f" * 32, "none": ""}


async def test_who_is_nobody_gets_nothing(rig: Rig) -> None:
    answers = {}
    for why, token in (await ended_tokens(rig)).items():
        async with rig.program(token) if token else rig.client() as client:
            for call in calls_of(rig):
                answers[why, call] = (await ask(client, call)).status_code

    assert len(answers) > 100
    assert {key: status for key, status in answers.items() if status != FORBIDDEN} == {}


async def test_who_holds_none_of_the_scopes_gets_nothing(rig: Rig) -> None:
    """
    Somebody, with a token that may do nothing at all.
    """
    answers = {}
    async with rig.program(await rig.token("eve", scopes=[])) as client:
        for call in calls_of(rig):
            if call.scopes:
                answers[call] = (await ask(client, call)).status_code

    # Its own name every token may tell, so of others it is not told whether they exist.
    hidden = {call for call in answers if call.is_about_a_user and not IDENTITY.isdisjoint(call.scopes)}
    wanted = {call: HIDDEN if call in hidden else FORBIDDEN for call in answers}
    assert answers == wanted


async def test_another_user_gets_nothing_and_learns_nothing(rig: Rig) -> None:
    """
    Whether bob or somebody who does not exist is asked about, the answers are the same.
    """
    answers = {}
    async with rig.program(await rig.token("eve")) as client:
        for call in calls_of(rig):
            if call.is_about_a_user:
                of_bob, of_nobody = await ask(client, call), await ask(client, call, "nobody")
                answers[call] = (of_bob.status_code, of_bob.text.replace("bob", "nobody") == of_nobody.text)

    assert {call: said for call, said in answers.items() if said not in {(403, True), (404, True)}} == {}


async def test_a_filter_to_a_group_reaches_those_in_it_and_nobody_else(rig: Rig) -> None:
    inside, outside, whole = {}, {}, {}
    async with rig.program(await rig.token("tess")) as client:
        for call in calls_of(rig):
            if call.is_about_a_user:
                outside[call] = (await ask(client, call, "eve")).status_code
            elif call.scopes and not call.partly and "{" not in call.path:
                whole[call] = (await ask(client, call)).status_code
        for call in sorted(calls_of(rig), key=lambda call: call.method == "DELETE"):
            if call.is_about_a_user:
                answer = await ask(client, call, "bob")
                inside[call] = answer.status_code != FORBIDDEN or "scopes" not in answer.text

    assert {call: status for call, status in outside.items() if status != HIDDEN} == {}
    assert {call: status for call, status in whole.items() if status != FORBIDDEN} == {}
    assert [call for call, is_let_in in inside.items() if not is_let_in] == []


async def test_an_administrator_is_let_in_everywhere(rig: Rig) -> None:
    answers = {}
    async with rig.program(await rig.token("ada")) as client:
        for call in sorted(calls_of(rig), key=lambda call: call.method == "DELETE"):
            answers[call] = await ask(client, call)

    refused = {
        call: answer.text
        for call, answer in answers.items()
        if answer.status_code == FORBIDDEN and "scopes" in answer.text
    }
    assert refused == {}
    assert not [call for call, answer in answers.items() if answer.status_code >= 500]


def is_due(call: Call, site: str, mode: str, destination: str, *, has_xsrf: bool) -> bool:
    """Whether the API may answer a browser that is signed in and says this of its request."""
    if call.method in CHANGES:
        return site in {"same-origin", "none", ""} and has_xsrf
    is_page = mode in {"navigate", ""} and destination in {"document", ""}
    return is_page or has_xsrf


@pytest.mark.parametrize("site", SITES)
async def test_a_browser_is_answered_only_as_its_headers_allow(rig: Rig, site: str) -> None:
    """
    Every combination of Fetch-Metadata and CSRF token, with the cookie of an administrator.
    """
    browser = await rig.signed_in("ada")
    await browser.get("/hub/home")
    client = browser.client
    wrong = {}
    for call, (mode, destination), has_xsrf in product(list(calls_of(rig)), WAYS, (False, True)):
        due = is_due(call, site, mode, destination, has_xsrf=has_xsrf)
        if due and call.method in CHANGES:
            # Done by others here: it would change what the rest is asked about.
            continue
        said = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
        for name in NAVIGATION:
            client.headers.pop(name, None)
        given = {name: value for name, value in said.items() if value}
        answer = await ask(client, call, **given, **({"X-XSRFToken": browser.xsrf} if has_xsrf else {}))
        if (answer.status_code != FORBIDDEN) != due:
            wrong[call, mode, destination, has_xsrf] = (answer.status_code, answer.text)

    assert wrong == {}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_form_of_another_site_is_no_call(rig: Rig, kind: str) -> None:
    """
    These are what a page can have a browser send without asking first.
    """
    browser = await rig.signed_in("ada")
    await browser.get("/hub/home")
    answers = {}
    for call in calls_of(rig):
        if call.method in CHANGES:
            headers = {"Content-Type": kind, "X-XSRFToken": browser.xsrf}
            answer = await browser.client.request(call.method, call.address("bob"), content=b"{}", headers=headers)
            answers[call] = answer.status_code

    assert {call: status for call, status in answers.items() if status != FORBIDDEN} == {}
