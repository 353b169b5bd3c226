from __future__ import annotations

from typing import Any

import pytest

from perijove.hub.domain.audit import Action
from perijove.hub.usecases.audit import record
from tests.unit.hub.web.rig import Rig


async def get(rig: Rig, path: str, *, name: str = "root", scopes: list[str] | None = None) -> Any:
    async with rig.program(await rig.token(name, scopes)) as program:
        return await program.get(path)


async def fill(rig: Rig) -> None:
    async with rig.store.unit() as unit:
        for number in range(7):
            actor = "bob" if number % 2 else "eve"
            await record(unit, Action.SHARED, at=rig.clock.now(), by=None, target=actor, n=number, address="10.0.0.1")
            rig.clock.advance(60)


async def test_administrators_read_all_of_it_page_by_page(rig: Rig) -> None:
    await rig.add_user("root", admin=True)
    await fill(rig)
    seen: list[dict[str, Any]] = []
    before = ""
    while True:
        page = (await get(rig, f"/hub/api/audit?action=shared&limit=3{before}")).json()
        seen += page["entries"]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"

    assert [entry["detail"]["n"] for entry in seen] == [6, 5, 4, 3, 2, 1, 0]
    assert seen[0].keys() == {
        *("id", "at", "action", "actor", "actor_kind", "target", "detail", "address", "sequence", "hash")
    }
    assert seen[0]["at"].endswith("Z")


async def test_it_is_filtered_by_whom_what_and_when(rig: Rig) -> None:
    await rig.add_user("root", admin=True)
    start = rig.clock.now()
    await fill(rig)

    async def numbers(query: str) -> list[int]:
        page = (await get(rig, f"/hub/api/audit?{query}")).json()
        return [entry["detail"]["n"] for entry in page["entries"] if "n" in entry["detail"]]

    third = f"{start.replace(tzinfo=None).isoformat()}Z".replace(":05Z", ":06Z")
    assert await numbers("target=bob") == [5, 3, 1]
    assert await numbers("actor=nobody") == []
    assert await numbers("action=token-made") == []
    assert await numbers(f"since={third}") == [6, 5, 4, 3, 2, 1]
    assert await numbers(f"until={third}") == [0]


@pytest.mark.parametrize(
    "query", ["action=everything", "since=yesterday", "until=x", "before=x", "before=-1", "limit=x"]
)
async def test_a_filter_that_says_nothing_is_refused(rig: Rig, query: str) -> None:
    await rig.add_user("root", admin=True)

    answer = await get(rig, f"/hub/api/audit?{query}")

    assert answer.status_code == 400, answer.text


async def test_an_id_beyond_all_ids_is_no_error(rig: Rig) -> None:
    await rig.add_user("root", admin=True)

    assert (await get(rig, "/hub/api/audit?before=" + "9" * 40)).status_code == 200


async def test_nobody_else_reads_it(rig: Rig) -> None:
    await rig.add_user("root", admin=True)
    narrow = ["admin:users", "admin:servers", "tokens"]

    refused = [
        (await get(rig, "/hub/api/audit", name="bob")).status_code,
        (await get(rig, "/hub/api/audit", scopes=narrow)).status_code,
        (await get(rig, "/hub/api/users/root/audit", name="bob")).status_code,
        (await get(rig, "/hub/api/users/bob/audit", scopes=narrow)).status_code,
    ]

    assert refused == [403, 403, 404, 403]


async def test_everybody_reads_what_concerns_them(rig: Rig) -> None:
    await rig.add_user("root", admin=True)
    await fill(rig)

    answer = await get(rig, "/hub/api/users/bob/audit", name="bob")
    by_root = await get(rig, "/hub/api/users/bob/audit?action=shared&limit=1")

    shared = [entry for entry in answer.json()["entries"] if entry["action"] == "shared"]
    assert [entry["detail"]["n"] for entry in shared] == [5, 3, 1]
    assert {entry["address"] for entry in shared} == {""}
    assert len(by_root.json()["entries"]) == 1


async def test_what_is_done_by_the_api_is_told_with_who_and_where_from(rig: Rig) -> None:
    await rig.add_user("root", admin=True)
    async with rig.program(await rig.token("root")) as program:
        await program.post("/hub/api/users/bob/server")
        await program.delete("/hub/api/users/bob/server")
        made = (await program.post("/hub/api/users/bob/tokens", json={"note": "x"})).json()
        await program.delete(f"/hub/api/users/bob/tokens/{made['id']}")
        await program.post("/hub/api/users/new")
        await program.patch("/hub/api/users/new", json={"admin": True})
        await program.delete("/hub/api/users/new")

    entries = [e for e in (await get(rig, "/hub/api/audit?actor=root")).json()["entries"] if e["target"] != "root"]

    assert [entry["action"] for entry in reversed(entries)] == [
        "server-started",
        "server-stopped",
        "token-made",
        "token-revoked",
        "user-added",
        "user-changed",
        "user-deleted",
    ]
    assert {entry["address"] for entry in entries} == {"10.0.0.9"}


async def test_what_is_done_on_pages_is_told_with_who_and_where_from(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    await browser.get("/hub/spawn")
    await browser.get("/hub/home")
    await browser.post("/hub/stop/bob")
    await browser.get("/hub/home")
    await browser.post("/hub/logout")

    entries = (await get(rig, "/hub/api/users/bob/audit", name="bob")).json()["entries"]

    done = [(entry["action"], entry["actor"], entry["address"]) for entry in reversed(entries)]
    for action in ("signed-in", "server-started", "server-stopped", "signed-out"):
        assert (action, "bob", "10.0.0.9") in done
