"""
JupyterLab's files: served, compressed and learned about, over a small directory that looks like the real one.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import brotli
import httpx
import pytest

from perijove.hub.web.lab import compress
from perijove.hub.web.lab.assets import LabAssets
from perijove.hub.web.lab.start_list import MAX_FILES, StartList
from perijove.hub.web.lab.tree import LabTree, lab_static_dir
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings

MAIN = "main.efd36b46f3b45eb8.js"
CHUNK = "1014.073326ef5d98db5e.js"
FONT = "0031b1860ea4ad75.woff2"
CODE = b"export const answer = 42;\n" * 200
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / MAIN).write_bytes(CODE)
    (folder / CHUNK).write_bytes(CODE + b"//\n")
    (folder / FONT).write_bytes(bytes(range(256)) * 20)
    (folder / "index.html").write_text("<!doctype html>")
    return folder


@pytest.fixture
def assets(source: Path, tmp_path: Path) -> LabAssets:
    return LabAssets(source=source, state=tmp_path / "state", hub_prefix="/hub/")


async def get(assets: LabAssets, name: str, **headers: str) -> httpx.Response:
    async with TaskGroup("rig") as tasks:
        rig = Rig(tasks=tasks, settings=make_settings(), lab_assets=assets)
        async with rig.client() as client:
            # Not `httpx`'s own list of codings: each test says what its browser understands.
            return await client.get(f"{assets.url}/{name}", headers={"Accept-Encoding": "identity", **headers})


async def test_a_file_is_there_before_its_variants_are(assets: LabAssets) -> None:
    answer = await get(assets, MAIN, **{"Accept-Encoding": "br, gzip"})

    assert answer.content == CODE
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("br, gzip", "br"), ("gzip", "gzip"), ("br;q=0, gzip;q=0.5", "gzip"), ("identity", ""), ("zstd", "")],
)
async def test_the_browser_gets_the_smallest_form_that_it_knows(assets: LabAssets, accepted: str, coding: str) -> None:
    await assets.prepare()

    answer = await get(assets, MAIN, **{"Accept-Encoding": accepted})

    assert answer.headers.get("content-encoding", "") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == CODE


async def test_what_is_compressed_already_is_left_alone(assets: LabAssets) -> None:
    await assets.prepare()

    answer = await get(assets, FONT, **{"Accept-Encoding": "br, gzip"})

    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == "font/woff2"


async def test_a_cached_file_is_not_sent_again(assets: LabAssets) -> None:
    first = await get(assets, MAIN)

    again = await get(assets, MAIN, **{"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["nothing.js", "../state/start.json", "..%2f..%2fetc%2fpasswd", "", "/etc/passwd"])
async def test_nothing_else_is_served(assets: LabAssets, name: str) -> None:
    assert (await get(assets, name)).status_code in {302, 404}


async def test_another_version_has_another_address(assets: LabAssets, source: Path, tmp_path: Path) -> None:
    (source / MAIN).write_bytes(CODE + b"// newer")

    newer = LabAssets(source=source, state=tmp_path / "state", hub_prefix="/hub/")

    assert newer.url != assets.url


def test_variants_are_made_whole_and_old_ones_go(source: Path, tmp_path: Path) -> None:
    """
    As it really runs: a process of its own, which may have been killed in the middle before.
    """
    target = tmp_path / "state" / "new"
    (tmp_path / "state" / "old").mkdir(parents=True)
    (tmp_path / "state" / ".unfinished-x").mkdir()

    subprocess.run([sys.executable, "-I", compress.__file__, source, target], check=True, timeout=30)

    assert brotli.decompress((target / f"{MAIN}.br").read_bytes()) == CODE
    assert gzip.decompress((target / f"{MAIN}.gz").read_bytes()) == CODE
    assert not (target / f"{FONT}.br").exists()
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["new"]


async def test_a_state_directory_that_cannot_be_written_costs_only_the_variants(source: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")
    assets = LabAssets(source=source, state=tmp_path / "state", hub_prefix="/hub/")

    await assets.prepare()

    assert (await get(assets, MAIN)).content == CODE


def start_list(source: Path, tmp_path: Path) -> StartList:
    return StartList(tree=LabTree(source=source, variants=tmp_path), path=tmp_path / "start.json")


def test_before_anything_is_learned_the_main_bundle_is_fetched(source: Path, tmp_path: Path) -> None:
    assert start_list(source, tmp_path).items() == [f"{MAIN}?v=efd36b46f3b45eb8"]


def test_what_a_start_loads_is_learned_and_kept(source: Path, tmp_path: Path) -> None:
    chunk = f"{CHUNK}?v=073326ef5d98db5e"
    learning = start_list(source, tmp_path)

    learning.note(browser="10.0.0.9", item=chunk, destination="script", now=NOW)

    assert start_list(source, tmp_path).items() == [chunk, f"{MAIN}?v=efd36b46f3b45eb8"]


@pytest.mark.parametrize(
    ("item", "destination"),
    [
        (f"{CHUNK}?v=073326ef5d98db5e", "empty"),
        (f"{CHUNK}?v=other", "script"),
        (f"{CHUNK}?x=1", "script"),
        ("nothing.js", "script"),
    ],
)
def test_only_what_jupyterlab_itself_loads_is_learned(
    source: Path, tmp_path: Path, item: str, destination: str
) -> None:
    """
    Not what the sign-in page fetches ahead, and not what somebody makes up.
    """
    learning = start_list(source, tmp_path)

    learning.note(browser="10.0.0.9", item=item, destination=destination, now=NOW)

    assert learning.items() == [f"{MAIN}?v=efd36b46f3b45eb8"]


def test_what_is_loaded_later_is_not_part_of_the_start(source: Path, tmp_path: Path) -> None:
    learning = start_list(source, tmp_path)
    learning.note(browser="10.0.0.9", item=f"{MAIN}?v=efd36b46f3b45eb8", destination="script", now=NOW)

    later = NOW + timedelta(minutes=5)
    learning.note(browser="10.0.0.9", item=f"{CHUNK}?v=073326ef5d98db5e", destination="script", now=later)

    assert learning.items() == [f"{MAIN}?v=efd36b46f3b45eb8"]


@pytest.mark.parametrize("kept", ["", "[]", '{"version": "other", "items": ["x"]}', '{"version": 1}'])
def test_a_list_that_cannot_be_read_is_learned_anew(source: Path, tmp_path: Path, kept: str) -> None:
    (tmp_path / "start.json").write_text(kept)

    assert start_list(source, tmp_path).items() == [f"{MAIN}?v=efd36b46f3b45eb8"]


async def test_the_list_has_addresses_that_can_be_fetched(assets: LabAssets) -> None:
    answer = await get(assets, "_start.json")

    assert answer.json() == [f"{assets.url}/{MAIN}?v=efd36b46f3b45eb8"]
    assert answer.headers["cache-control"] == "no-cache"


async def test_the_sign_in_page_fetches_ahead(assets: LabAssets) -> None:
    async with TaskGroup("rig") as tasks:
        rig = Rig(tasks=tasks, settings=make_settings(), lab_assets=assets)
        page = await rig.browser().get("/hub/login")

    assert f'data-list="{assets.url}/_start.json"' in page.text


def test_the_installed_jupyterlab_tells_what_it_begins_with(tmp_path: Path) -> None:
    """
    Its loader is not an interface: when this fails after an upgrade, `first_files` must learn to read the new one,
    or the first person after every upgrade waits longer.
    """
    items = StartList(tree=LabTree(source=lab_static_dir(), variants=tmp_path), path=tmp_path / "start.json").items()

    assert 30 <= len(items) <= MAX_FILES
    assert items[0].startswith("main.")
    assert items[1].startswith("jlab_core.")
