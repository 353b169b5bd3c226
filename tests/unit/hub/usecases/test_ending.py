from __future__ import annotations

import pytest

from perijove.hub.usecases.ending import Ending


@pytest.mark.parametrize("configured", [True, False])
async def test_the_configuration_says_what_becomes_of_the_servers_unless_somebody_does(*, configured: bool) -> None:
    silent, said = Ending(stop_servers=configured), Ending(stop_servers=configured)

    silent.ask()
    said.ask(not configured)

    assert (silent.asked.is_set(), silent.stop_servers, silent.is_said) == (True, configured, False)
    assert (said.asked.is_set(), said.stop_servers, said.is_said) == (True, not configured, True)
