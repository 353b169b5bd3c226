from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs
from traitlets import Integer, TraitError, Unicode
from traitlets.config import Config

from perijove.spawners.base import Spawner
from perijove.spawners.errors import SpawnRefused

FORM = {"profile": ["large"], "gpu": ["on"], "packages": ["a", "b"]}


class Tiny(Spawner):
    memory = Integer(1).tag(config=True)
    image = Unicode("plain").tag(config=True)


def spawner(options: Mapping[str, Any] | None = None, **traits: Any) -> Tiny:
    return Tiny(user_options=options, config=Config({"Tiny": traits}))


@pytest.mark.parametrize(
    ("how", "options"),
    [
        ("passthrough", FORM),
        ("simple", {"profile": "large", "gpu": True, "packages": ["a", "b"]}),
        (lambda form: {"size": len(form)}, {"size": 3}),
        (lambda form, spawner: {spawner.image: form["profile"][0]}, {"plain": "large"}),
    ],
)
async def test_a_form_comes_to_options(how: Any, options: Mapping[str, Any]) -> None:
    assert await spawner(options_from_form=how).read_options(FORM) == options


async def test_what_reads_a_form_may_be_a_coroutine() -> None:
    async def read(form: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        return {"first": form["profile"][0]}

    assert await spawner(options_from_form=read).read_options(FORM) == {"first": "large"}


@pytest.mark.parametrize(
    "how", [lambda form: form["none"], lambda form: int(form["profile"][0]), lambda _form: "large"]
)
async def test_a_form_that_is_not_wanted_is_refused(how: Any) -> None:
    with pytest.raises(SpawnRefused, match="Invalid user options"):
        await spawner(options_from_form=how).read_options(FORM)


def test_there_is_no_other_way_to_read_a_form() -> None:
    with pytest.raises(TraitError):
        spawner(options_from_form="simpel")


@pytest.mark.parametrize(
    ("form", "html"),
    [
        ("", ""),
        ("<input>", "<input>"),
        (lambda spawner: f"<p>{spawner.image}", "<p>plain"),
        (lambda _spawner: None, ""),
    ],
)
async def test_a_form_is_text_or_made_for_the_spawner(form: Any, html: str) -> None:
    assert await spawner(options_form=form).make_options_form() == html


async def test_options_become_the_traits_that_they_stand_for() -> None:
    made = spawner({"size": 4, "shoe": 44}, apply_user_options={"size": "memory"})

    with capture_logs() as logged:
        await made.use_options()

    assert made.memory == 4
    assert [(line["event"], line["option"]) for line in logged] == [("spawner.unknown_option", "shoe")]


@pytest.mark.parametrize(
    ("how", "words"),
    [({"size": "memory"}, "Invalid user options: size"), ({"size": "mmry"}, "does not have")],
)
async def test_an_option_that_its_trait_does_not_take_is_refused(how: Any, words: str) -> None:
    with pytest.raises(SpawnRefused, match=words):
        await spawner({"size": "much"}, apply_user_options=how).use_options()


async def test_a_callable_is_given_the_options_and_may_refuse_them() -> None:
    def use(spawner: Tiny, options: Mapping[str, Any]) -> None:
        spawner.image = {"large": "big"}[options["profile"]]

    good, bad = [spawner({"profile": name}, apply_user_options=use) for name in ("large", "huge")]
    await good.use_options()

    assert good.image == "big"
    with pytest.raises(SpawnRefused, match="Invalid user options"):
        await bad.use_options()


async def test_options_do_nothing_unless_it_is_said_what() -> None:
    made = spawner({"memory": 9})
    await made.use_options()

    assert made.memory == 1


@pytest.mark.parametrize(
    ("hook", "event"),
    [
        (None, {"progress": 100}),
        (lambda _spawner, event: {**event, "url": "/x"}, {"progress": 100, "url": "/x"}),
        (lambda _spawner, _event: None, {"progress": 100}),
    ],
)
async def test_the_last_event_of_a_start_is_as_the_hook_wants_it(hook: Any, event: Mapping[str, Any]) -> None:
    assert await spawner(progress_ready_hook=hook).make_ready_event({"progress": 100}) == event
