from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.web.next_url import safe_next

HOST = "hub.example:8000"


@pytest.mark.parametrize(
    "path", ["/", "/hub/home", "/user/ada/lab/tree/a%20b.ipynb?reset#cell", "/user/ada/?next=//evil.example"]
)
def test_a_path_on_this_host_is_kept(path: str) -> None:
    assert safe_next(path, host=HOST) == path


def test_a_full_url_of_this_host_is_reduced_to_its_path() -> None:
    assert safe_next("http://hub.example:8000/hub/home?x=1", host=HOST) == "/hub/home?x=1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hub/home",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "http://evil.example/",
        "http://hub.example:8000@evil.example/",
        "http://hub.example:8000//evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/a\r\nSet-Cookie: x",
        "http://[",
        "/" + "a" * 5000,
    ],
)
def test_anything_else_is_nothing(text: str) -> None:
    assert safe_next(text, host=HOST) == ""


@given(st.text(alphabet=st.sampled_from("/\\.:@?#%ahtp\t\n "), max_size=30))
def test_no_text_leads_to_another_host(text: str) -> None:
    """
    Whatever comes in: a browser on our page that follows the result stays here.
    """
    result = safe_next(text, host=HOST)

    if result:
        assert urlsplit(urljoin(f"http://{HOST}/hub/login", result)).netloc == HOST
