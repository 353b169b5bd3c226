"""
Where things go that a home does not take, on real file systems.
"""

from __future__ import annotations

import errno
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tornado.web import HTTPError

from perijove.singleuser import room
from perijove.singleuser.files import Files, Notary, Signatures
from tests.support.launcher import needs_root

pytestmark = needs_root


def fill(folder: Path) -> None:
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of 512 KB, with room."""
    folder = tmp_path / "home"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def environ(home: Path) -> dict[str, str]:
    return {"HOME": str(home)}


def test_a_home_with_room_is_used(home: Path, tmp_path: Path) -> None:
    assert room.refusal(home / "not" / "there") is None
    assert not room.is_full(home)
    assert room.for_server(environ(home), runtime=tmp_path) == {}
    assert room.for_kernel(environ(home), runtime=tmp_path) == {}
    assert list(home.iterdir()) == []


def test_a_full_home_is_known_by_trying_and_left_as_it_was(home: Path) -> None:
    fill(home)
    why = room.refusal(home)

    assert why is not None
    assert why.errno == errno.ENOSPC
    assert room.is_full(home)
    assert [path.name for path in home.iterdir()] == ["filler"]


def test_a_home_that_may_only_be_read_is_not_full(home: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
    why = room.refusal(home)

    assert why is not None
    assert why.errno == errno.EROFS
    assert not room.is_full(home)


def test_what_a_server_writes_by_itself_goes_elsewhere(home: Path, tmp_path: Path) -> None:
    fill(home)
    runtime = tmp_path / "runtime"
    more = room.for_server(environ(home), runtime=runtime)

    assert more == {
        "IPYTHONDIR": str(runtime / "ipython"),
        "JUPYTER_DATA_DIR": str(runtime / "data"),
        "JUPYTERLAB_WORKSPACES_DIR": str(runtime / "workspaces"),
    }
    assert all(Path(path).is_dir() for path in more.values())
    assert room.for_kernel({**environ(home), **more}, runtime=runtime) == {}


def test_kernelspecs_and_layouts_that_are_there_are_found_there(home: Path, tmp_path: Path) -> None:
    (home / ".local" / "share" / "jupyter").mkdir(parents=True)
    fill(home)
    given = {**environ(home), "JUPYTERLAB_WORKSPACES_DIR": "/elsewhere"}

    assert set(room.for_server(given, runtime=tmp_path)) == {"IPYTHONDIR"}


def test_a_kernel_gets_what_its_user_has_set_without_the_history(home: Path, tmp_path: Path) -> None:
    profile = home / ".ipython" / "profile_default"
    (profile / "startup").mkdir(parents=True)
    (profile / "startup" / "10-mine.py").write_text("x = 1")
    (profile / "history.sqlite").write_bytes(b"precious")
    (profile / "large").write_bytes(b"x" * 1000)
    fill(home)
    more = room.for_kernel(environ(home), runtime=tmp_path)
    copied = Path(more["IPYTHONDIR"]) / "profile_default"

    assert (copied / "startup" / "10-mine.py").read_text() == "x = 1"
    assert not (copied / "history.sqlite").exists()
    assert (profile / "history.sqlite").read_bytes() == b"precious"


def test_notebooks_that_were_trusted_stay_trusted_and_their_database_in_its_place(home: Path) -> None:
    """
    To nbformat it looks broken: it would put it away, and begin another.
    """
    file = home / "nbsignatures.db"
    before = Signatures(str(file))  # type: ignore[no-untyped-call]
    before.store_signature("known", "sha256")
    fill(home)
    mid_session = before.check_signature("known", "sha256")
    before.store_signature("new", "sha256")
    before.close()  # type: ignore[no-untyped-call]
    after = Signatures(str(file))  # type: ignore[no-untyped-call]
    known = [after.check_signature(digest, "sha256") for digest in ("known", "other")]
    after.store_signature("other", "sha256")
    own = after.check_signature("other", "sha256")
    after.close()  # type: ignore[no-untyped-call]
    (home / "filler").unlink()
    with sqlite3.connect(file) as kept:
        rows = kept.execute("SELECT signature FROM nbsignatures").fetchall()
    kept.close()

    assert mid_session
    assert known == [True, False]
    assert own
    assert rows == [("known",)]
    assert [path.name for path in home.iterdir()] == ["nbsignatures.db"]


def test_without_a_database_and_without_room_nothing_is_known_and_nothing_fails(home: Path) -> None:
    fill(home)
    signatures = Signatures(str(home / "nbsignatures.db"))  # type: ignore[no-untyped-call]
    known = signatures.check_signature("any", "sha256")
    signatures.close()  # type: ignore[no-untyped-call]

    assert not known
    assert [path.name for path in home.iterdir()] == ["filler"]


def test_the_secret_of_a_notary_is_good_for_the_run_if_it_cannot_be_kept(home: Path) -> None:
    fill(home)
    notary = Notary(db_file=":memory:", secret_file=str(home / "secret"))  # type: ignore[no-untyped-call]
    secret = notary.secret
    notary.close()  # type: ignore[no-untyped-call]

    assert len(secret) > 100


@pytest.fixture
def files(home: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setenv("HOME", str(home))
    return Files(root_dir=str(home), allow_hidden=True)


async def test_on_a_full_disk_files_and_folders_are_deleted_for_good(home: Path, files: Files) -> None:
    (home / "folder" / "in").mkdir(parents=True)
    (home / "folder" / "in" / "x").write_text("x")
    (home / "link").symlink_to("folder")
    (home / "large").write_bytes(b"x" * 100_000)
    fill(home)
    await files.delete_file("link")
    target_kept = (home / "folder").is_dir()
    await files.delete_file("folder")
    await files.delete_file("/large")

    assert target_kept
    assert names_in(home) == ["filler"]
    assert not room.is_full(home)


async def test_what_is_hidden_or_not_there_is_refused_on_a_full_disk_too(home: Path, files: Files) -> None:
    (home / ".secret").write_text("x")
    files.allow_hidden = False
    fill(home)
    for path, status in ((".secret", 400), ("nothing", 404)):
        with pytest.raises(HTTPError) as refused:
            await files.delete_file(path)
        assert refused.value.status_code == status

    assert (home / ".secret").exists()
