from __future__ import annotations

import pytest

from perijove.supervisor.exposure import is_private


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_is_private_without_tls(ip: str) -> None:
    assert is_private(ip, "http://127.0.0.1:8000")


@pytest.mark.parametrize("ip", ["", "0.0.0.0", "::", "10.0.0.1", "notebooks.example.org"])
def test_anything_else_is_private_with_tls_only(ip: str) -> None:
    """
    Browsers send Fetch-Metadata to secure contexts only.
    """
    assert not is_private(ip, "http://notebooks.example.org:8000")
    assert is_private(ip, "https://notebooks.example.org")
