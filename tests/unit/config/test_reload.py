from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from traitlets import Any as AnyValue
from traitlets import Float, Unicode
from traitlets.config import Configurable

from perijove.config.check import traits_of
from perijove.config.reload import RELOADED, differing, settings_after
from perijove.config.settings import HubSettings, Paths, ServerPolicy, SignInPolicy
from perijove.config.traits import Perijove


class Plugin(Configurable):
    """Some spawner."""

    cmd = Unicode("server").tag(config=True)
    hook = AnyValue(None, allow_none=True).tag(config=True)
    poll_interval = Float(30.0).tag(config=True)


def settings(**changes: Any) -> HubSettings:
    nowhere = Paths(state=Path("/nowhere"), runtime=Path("/nowhere"))
    return replace(HubSettings(api_url="http://x", db_url="sqlite://", paths=nowhere, control_token="x"), **changes)


def test_what_is_taken_over_exists() -> None:
    assert set(traits_of(Perijove)) > RELOADED


def test_changed_values_are_named_by_whether_they_are_taken_over() -> None:
    old = [Perijove(), Plugin()]
    new = [Perijove(port=9000, concurrent_spawn_limit=7, log_level="debug"), Plugin(cmd="other", poll_interval=5.0)]

    assert differing(old, new, reloaded=True) == (
        "Perijove.concurrent_spawn_limit",
        "Perijove.log_level",
        "Plugin.cmd",
    )
    assert differing(old, new, reloaded=False) == ("Perijove.port", "Plugin.poll_interval")


def test_a_hook_whose_code_is_the_same_has_not_changed() -> None:
    """
    The file is run anew, which makes new functions of the same lines.
    """

    def hook(answer: int) -> Any:
        return eval(compile(f"lambda: {answer}", "config.py", "eval"))

    old = [Plugin(hook=hook(1))]

    assert differing(old, [Plugin(hook=hook(1))], reloaded=True) == ()
    assert differing(old, [Plugin(hook=hook(2))], reloaded=True) == ("Plugin.hook",)


def test_a_class_that_the_file_made_anew_is_told_from_one_with_other_code() -> None:
    def directory(answer: str) -> Any:
        names: dict[str, Any] = {"Configurable": Configurable}
        exec(f"class Directory(Configurable):\n    def ask(self): return {answer}", names)
        return names["Directory"]

    old = [Perijove(authenticator_class=directory("1"))]

    assert differing(old, [Perijove(authenticator_class=directory("1"))], reloaded=False) == ()
    changed = differing(old, [Perijove(authenticator_class=directory("2"))], reloaded=False)
    assert changed == ("Perijove.authenticator_class",)


def test_a_log_handler_that_is_made_anew_has_not_changed() -> None:
    old = Perijove(extra_log_handlers=[logging.NullHandler()])
    new = Perijove(extra_log_handlers=[logging.NullHandler()])
    other = Perijove(extra_log_handlers=[logging.StreamHandler()])

    assert differing([old], [new], reloaded=False) == ()
    assert differing([old], [other], reloaded=False) == ("Perijove.extra_log_handlers",)


def test_another_class_of_plug_in_is_compared_by_what_both_have() -> None:
    assert differing([Plugin()], [Perijove()], reloaded=True) == ()


def test_settings_keep_what_cannot_change() -> None:
    old = settings()
    new = settings(
        base_url="/other/",
        db_url="postgresql://x",
        hub_name="other-1",
        control_token="other",
        sign_in=SignInPolicy(session_days=1),
        servers=ServerPolicy(start_timeout=5, poll_seconds=1, lease_seconds=1),
        blocked_users=frozenset({"eve"}),
        api_page_max_limit=7,
        redirect_to_server=False,
        cull_policies=({"idle_seconds": 60},),
    )

    after = settings_after(old, new)

    assert after == replace(
        old,
        sign_in=new.sign_in,
        servers=ServerPolicy(start_timeout=5),
        blocked_users=frozenset({"eve"}),
        api_page_max_limit=7,
        redirect_to_server=False,
        cull_policies=({"idle_seconds": 60},),
    )
