from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass

import pytest

from perijove.hub.store.values import maker


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    id: int
    name: str
    parts: tuple[str, ...] = ()


@dataclass(slots=True)
class Checked:
    id: int

    def __post_init__(self) -> None:
        self.id = abs(self.id)


@dataclass(frozen=True)
class Loose:
    id: int


def test_a_row_makes_what_its_init_would_make() -> None:
    make = maker(Thing, ("name", "id", "parts"), readers={"parts": tuple})

    made = make(["one", 1, ["a", "b"], "more"])

    assert made == Thing(id=1, name="one", parts=("a", "b"))
    assert hash(made) == hash(Thing(id=1, name="one", parts=("a", "b")))
    with pytest.raises(FrozenInstanceError):
        made.name = "two"  # type: ignore[misc]  # what is tested


def test_a_short_row_makes_nothing() -> None:
    with pytest.raises(ValueError, match="3 columns, not 2"):
        maker(Thing, ("name", "id", "parts"))(["one", 1])


@pytest.mark.parametrize("columns", [("id", "name"), ("id", "name", "parts", "size"), ("id", "name", "name")])
def test_columns_are_the_fields(columns: tuple[str, ...]) -> None:
    with pytest.raises(TypeError, match="other fields"):
        maker(Thing, columns)


@pytest.mark.parametrize("kind", [Checked, Loose])
def test_what_does_more_than_setting_fields_is_made_the_long_way(kind: type[object]) -> None:
    with pytest.raises(TypeError, match="more than its slots"):
        maker(kind, ("id",))
