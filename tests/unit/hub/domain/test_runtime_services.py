from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from perijove.hub.domain.roles import Service
from perijove.hub.domain.runtime_services import RuntimeService


def row(**declaration: Any) -> RuntimeService:
    return RuntimeService(
        name="board", token_hash="hash", declaration=declaration, created=datetime(2026, 1, 2, tzinfo=UTC)
    )


def test_a_row_is_a_service_as_the_configuration_s_are() -> None:
    declared = {
        "admin": True,
        "url": "http://x:1/",
        "display": False,
        "info": {"a": 1},
        "oauth_client_id": "service-b",
        "oauth_redirect_uri": "/b",
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": ["read:hub"],
    }

    assert row(**declared).service == Service(
        name="board",
        api_token_hash="hash",
        admin=True,
        url="http://x:1",
        display=False,
        info={"a": 1},
        oauth_client_id="service-b",
        oauth_redirect_uri="/b",
        oauth_no_confirm=True,
        oauth_client_allowed_scopes=("read:hub",),
    )


def test_what_a_row_does_not_say_is_as_the_contract_has_it() -> None:
    assert row().service == Service(name="board", api_token_hash="hash")
