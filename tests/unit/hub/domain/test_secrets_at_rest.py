from __future__ import annotations

from perijove.hub.domain.secrets_at_rest import hash_secret


def test_a_secret_is_kept_as_sha_256() -> None:
    assert hash_secret("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_text_that_is_no_text_has_a_hash_too() -> None:
    """
    A hostile cookie must be looked up and not found, not crash.
    """
    assert len(hash_secret("\udcff")) == 64
