from __future__ import annotations

import pytest

from perijove.hub.domain.managed_services import ManagedService
from perijove.hub.domain.roles import Service
from perijove.hub.usecases.service_environment import ServiceEnvironment
from perijove.wire import environment as names
from tests.unit.hub.web.rig import make_settings


@pytest.mark.parametrize("is_gated", [True, False])
def test_only_a_guarded_service_is_told_how_to_check_who_comes(*, is_gated: bool) -> None:
    settings = make_settings()
    declared = Service(name="board", api_token_hash="x", url="http://10.0.0.9:80", is_gated=is_gated)

    variables = ServiceEnvironment(settings, [declared]).make(ManagedService(name="board", command=("board",)))

    found = (variables.get(names.AUDIENCE), variables.get(names.IDENTITY_KEYS_URL))
    assert found == (("/services/board", f"{settings.api_url}/identity-keys") if is_gated else (None, None))
