from __future__ import annotations

import json

from traitlets.config import Config

from perijove.config.check import traits_of
from perijove.config.generate import as_json, as_text, effective, generated_file
from perijove.config.traits import Perijove


def test_the_generated_file_shows_every_trait_and_changes_none() -> None:
    text = generated_file({"Perijove": Perijove})
    config = Config()

    exec(text, {"get_config": lambda: config})

    assert all(f"# c.Perijove.{name} = " in text for name in traits_of(Perijove))
    assert config == Config()


def test_what_is_in_force_never_shows_a_secret() -> None:
    perijove = Perijove(services=[{"name": "culler", "api_token": "abcdef-secret"}])
    shown = effective([perijove])

    assert "abcdef-secret" not in as_text(shown)
    assert "culler" in as_text(shown)
    assert json.loads(as_json(shown))["Perijove"]["services"] == [{"name": "culler", "api_token": "[secret]"}]
