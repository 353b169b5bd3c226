from __future__ import annotations

import logging
from copy import deepcopy
from pathlib import Path

import pytest

from perijove.cli.configuration import load
from perijove.config.errors import WrongValue
from perijove.config.generate import as_json, as_text, effective
from perijove.config.log_handlers import Uncopied, are_handlers


@pytest.mark.parametrize("how", ["= [handler]", ".append(handler)", ".extend([handler])"])
def test_handlers_come_through_as_the_objects_that_they_are(how: str, tmp_path: Path) -> None:
    """
    Usual values are copied on the way, and the lock in a handler has no copy.
    """
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(
        f"import logging\nhandler = logging.NullHandler()\nc.JupyterHub.extra_log_handlers{how}\n", encoding="utf-8"
    )

    perijove = load(file, []).perijove

    assert [type(handler) for handler in perijove.extra_log_handlers] == [logging.NullHandler]
    assert "NullHandler" in as_text(effective([perijove]))
    assert "NullHandler" in as_json(effective([perijove]))


def test_what_is_no_handler_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "jupyterhub_config.py"
    file.write_text("c.JupyterHub.extra_log_handlers = ['/var/log/hub']\n", encoding="utf-8")

    with pytest.raises(WrongValue, match=r":1: c\.Perijove\.extra_log_handlers: "):
        load(file, [])


def test_a_list_of_handlers_is_known() -> None:
    handlers = Uncopied([logging.NullHandler()])

    assert deepcopy(handlers) is handlers
    assert are_handlers(handlers)
    assert not are_handlers([])
    assert not are_handlers([1])
    assert not are_handlers("handlers")
