from __future__ import annotations

from dataclasses import asdict
from json import dumps, loads

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.launcher.walls import Step, Walls, plan

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=2, max_size=4).map(lambda parts: "/".join(["", *parts]))


def walls(
    *, hidden: list[str] | None = None, shown: list[str] | None = None, private: dict[str, str] | None = None
) -> Walls:
    return plan(hidden=hidden or [], shown=shown or [], private=private or {}, shared_uid=False)


def sees(of: Walls, path: str) -> bool:
    """Whether somebody between these walls sees what is at *path* outside, by the last mount on the way to it."""
    around = [step for step in of.steps if path == step.path or path.startswith(f"{step.path}/")]
    return not around or around[-1].kind == "show"


def test_a_home_is_seen_inside_the_hidden_homes() -> None:
    assert walls(hidden=["/home"], shown=["/home/ada"]).steps == (
        Step(kind="hide", path="/home"),
        Step(kind="show", path="/home/ada"),
    )


def test_what_is_seen_anyway_needs_no_step() -> None:
    assert walls(hidden=["/home"], shown=["/usr/lib/python3"]).steps == (Step(kind="hide", path="/home"),)


def test_what_lies_below_a_hidden_directory_is_not_hidden_twice() -> None:
    assert walls(hidden=["/home", "/home/teacher/.state"]).steps == (Step(kind="hide", path="/home"),)


def test_state_inside_a_shown_directory_is_hidden() -> None:
    found = walls(hidden=["/home", "/home/teacher/course/state"], shown=["/home/teacher/course"])

    assert not sees(found, "/home/teacher/course/state/hub.sqlite")
    assert sees(found, "/home/teacher/course/data.csv")


@pytest.mark.parametrize("path", ["/", "/usr", "/etc", "/var", "/tmp", "/dev", "/nonexistent"])
def test_nothing_that_programs_need_is_hidden_whole(path: str) -> None:
    assert walls(hidden=[path]).steps == ()


def test_a_private_directory_is_the_accounts_own() -> None:
    assert walls(private={"/tmp": "/tmp/perijove-1/ada"}).steps == (
        Step(kind="private", path="/tmp", source="/tmp/perijove-1/ada"),
    )


def test_a_private_directory_with_something_to_see_below_is_in_memory() -> None:
    """
    The place for what is shown would have to be made inside a directory of the user's, who could put a link there.
    """
    found = walls(private={"/tmp": "/tmp/perijove-1/ada"}, shown=["/tmp/course"])

    assert found.steps == (Step(kind="private", path="/tmp"), Step(kind="show", path="/tmp/course"))


@pytest.mark.parametrize("path", ["relative", "/home/../etc", ""])
def test_a_path_that_is_not_plain_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not an absolute path"):
        walls(hidden=[path])


def test_with_one_uid_for_all_everything_else_is_read_only() -> None:
    found = plan(hidden=[], shown=[], private={"/tmp": ""}, shared_uid=True, writable=["/srv/ada"])

    assert found.read_only
    assert {"/srv/ada", "/tmp", "/proc"} <= set(found.writable)
    assert found.has_own_pids


def test_with_a_uid_each_pids_are_shared_and_rights_are_those_of_files() -> None:
    found = walls(hidden=["/home"])

    assert not found.read_only
    assert not found.has_own_pids


def test_walls_survive_json() -> None:
    found = plan(hidden=["/home"], shown=["/home/ada"], private={"/tmp": ""}, shared_uid=True)

    assert Walls.from_json(loads(dumps(asdict(found)))) == found


@given(hidden=st.lists(PATHS, max_size=5), shown=st.lists(PATHS, max_size=5), path=PATHS)
def test_the_nearest_wish_decides_what_is_seen(hidden: list[str], shown: list[str], path: str) -> None:
    """
    Of all hidden and shown directories around a path the innermost counts, and of two wishes for one the kinder.
    """
    found = walls(hidden=hidden, shown=shown)
    around = [parent for parent in (*hidden, *shown) if path == parent or path.startswith(f"{parent}/")]
    nearest = max(around, key=len, default=None)

    assert sees(found, path) == (nearest is None or nearest in shown)
