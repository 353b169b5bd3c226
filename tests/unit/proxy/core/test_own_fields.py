from __future__ import annotations

import pytest

from perijove.proxy.core.errors import UnusableSettings
from perijove.proxy.core.own_fields import names_in, read_fields_to_add, without


def test_fields_are_read_as_configurable_http_proxy_reads_them() -> None:
    assert read_fields_to_add(["k1:v1", " K2 : v 2 ", "X-Forwarded-Proto:https"]) == (
        b"k1: v1\r\nK2: v 2\r\nX-Forwarded-Proto: https\r\n"
    )


@pytest.mark.parametrize(
    "text", ["", "name", ":value", "name:", "na me:x", "name:a\r\nb:c", "name:a\nb", "näme:x", "name:ä", "a:\x00"]
)
def test_what_is_no_field_is_refused(text: str) -> None:
    """
    A line break would be a second field, or the end of the head.
    """
    with pytest.raises(UnusableSettings, match="name:value"):
        read_fields_to_add([text])


@pytest.mark.parametrize(
    "name",
    ["Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "TE", "X-Perijove-Identity", "Proxy-X"],
)
def test_what_decides_where_a_request_goes_or_ends_is_refused(name: str) -> None:
    with pytest.raises(UnusableSettings, match=name):
        read_fields_to_add([f"{name}: x"])


def test_a_clients_own_are_replaced() -> None:
    lines = read_fields_to_add(["X-Team: a"])

    assert names_in(lines) == {b"x-team"}
    assert without(b"A: 1\r\nx-team: b\r\nX-TEAM: c\r\n", names_in(lines)) == b"A: 1\r\n"
