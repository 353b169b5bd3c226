"""
The audit log's copy on a real disk.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perijove.hub.domain.audit import Action, AuditEntry
from perijove.hub.gateways.audit_file import POSITION, JsonLinesFile
from perijove.hub.usecases.audit_chain import AuditFileUnusable

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


def entries(first: int, last: int) -> Sequence[AuditEntry]:
    return [
        AuditEntry(
            id=number,
            at=NOW,
            action=Action.SIGNED_IN,
            actor="ada",
            target="ada",
            detail={"browser": "two\nlines, ü"},
            sequence=number,
            sealed_hash=f"{number:064x}",
        )
        for number in range(first, last + 1)
    ]


def beside(path: Path) -> Path:
    return path.with_name(f"{path.name}{POSITION}")


def sequences(path: Path) -> list[int]:
    return [json.loads(line)["sequence"] for line in path.read_text().splitlines()]


async def test_each_entry_is_one_line_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    await JsonLinesFile(str(path)).append(entries(1, 2))

    assert path.stat().st_mode & 0o777 == 0o600
    first = json.loads(path.read_text().splitlines()[0])
    assert first["detail"] == {"browser": "two\nlines, ü"}
    assert (first["sequence"], first["at"], first["hash"]) == (1, "2026-05-06T07:08:09.123456+00:00", f"{1:064x}")
    assert sequences(path) == [1, 2]


async def test_it_goes_on_where_it_was_also_after_it_was_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    await JsonLinesFile(str(path)).append(entries(1, 3))
    path.rename(tmp_path / "audit.jsonl.1")

    file = JsonLinesFile(str(path))
    assert await file.position() == 3
    await file.append(entries(2, 5))

    assert sequences(path) == [4, 5]


async def test_a_process_that_died_between_the_two_files_writes_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    await JsonLinesFile(str(path)).append(entries(1, 3))
    beside(path).write_text("")

    assert await JsonLinesFile(str(path)).position() == 3


async def test_a_line_of_somebody_else_confuses_nobody(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    await JsonLinesFile(str(path)).append(entries(1, 3))
    beside(path).unlink()
    with path.open("a") as file:
        file.write("not json\n[1]\n{}\n")

    assert await JsonLinesFile(str(path)).position() == 3


async def test_two_hubs_with_one_file_write_each_entry_once(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    hubs = [JsonLinesFile(str(path)) for _ in range(8)]

    await asyncio.gather(*(hub.append(entries(1, 40)) for hub in hubs))

    assert sequences(path) == list(range(1, 41))


@pytest.mark.parametrize("name", ["", "nowhere/audit.jsonl"])
async def test_a_file_that_cannot_be_written_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(AuditFileUnusable):
        await JsonLinesFile(str(tmp_path / name)).append(entries(1, 1))


async def test_a_full_disk_leaves_no_half_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.jsonl"
    file = JsonLinesFile(str(path))
    await file.append(entries(1, 2))
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 50:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", half)
        with pytest.raises(AuditFileUnusable, match="No space left"):
            await file.append(entries(3, 9))

    assert sequences(path) == [1, 2]
    await file.append(entries(3, 9))
    assert sequences(path) == list(range(1, 10))
