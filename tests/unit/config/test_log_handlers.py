from __future__ import annotations

import logging
import re
from copy import deepcopy
from pathlib import Path
from typing import Final

import pytest

from perijove.cli.configuration import load
from perijove.config.errors import WrongValue
from perijove.config.generate import as_json, as_text, effective
from perijove.config.log_handlers import Uncopied, are_handlers

HANDLERS: Final = {"c.JupyterHub.extra_log_handlers": "perijove", "c.EventLogger.handlers": "event_logger"}


@pytest.mark.parametrize("trait", HANDLERS)
@pytest.mark.parametrize("how", ["= [handler]", ".append(handler)", ".extend([handler])"])
def test_handlers_come_through_as_the_objects_that_they_are(how: str, trait: str, tmp_path: Path) -> None:
    """
    Usual values are copied on the way, and the lock in a handler has no copy.
    """
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(f"import logging\nhandler = logging.NullHandler()\n{trait}{how}\n", encoding="utf-8")

    owner = getattr(load(file, []), HANDLERS[trait])

    assert [type(handler) for handler in getattr(owner, trait.rpartition(".")[2])] == [logging.NullHandler]
    assert "NullHandler" in as_text(effective([owner]))
    assert "NullHandler" in as_json(effective([owner]))


@pytest.mark.parametrize("trait", HANDLERS)
def test_what_is_no_handler_is_refused(trait: str, tmp_path: Path) -> None:
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(f"{trait} = ['/var/log/hub']\n", encoding="utf-8")

    with pytest.raises(WrongValue, match=rf":1: {re.escape(trait.replace('JupyterHub', 'Perijove'))}: "):
        load(file, [])


def test_a_list_of_handlers_is_known() -> None:
    handlers = Uncopied([logging.NullHandler()])

    assert deepcopy(handlers) is handlers
    assert are_handlers(handlers)
    assert not are_handlers([])
    assert not are_handlers([1])
    assert not are_handlers("handlers")
