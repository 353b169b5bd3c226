from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.domain.origins import Origins
from perijove.hub.web.next_url import safe_next

HOST = "hub.example:8000"
ORIGINS = Origins(hub="https://hub.example", domain="hub.example")


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


@pytest.mark.parametrize(
    "text", ["https://hub.example/user/ada/lab?x=1#c", "https://ada.hub.example/user/ada/lab?x=1#c"]
)
def test_a_full_url_of_the_hub_or_of_somebody_below_is_reduced_to_its_path(text: str) -> None:
    assert safe_next(text, host="hub.example", origins=ORIGINS) == "/user/ada/lab?x=1#c"


@pytest.mark.parametrize(
    "text",
    [
        "http://ada.hub.example/user/ada/lab",
        "https://ada.hub.example:8443/user/ada/lab",
        "https://ada.hub.example.evil.example/",
        "https://evil.example/ada.hub.example/",
        "https://evil.example#.hub.example/",
        "https://evil.example?.hub.example/",
        "https://evil.example\\.hub.example/",
        "https://evil.example%2f.hub.example/",
        "https://evil.example%00.hub.example/",
        "https://evil@ada.hub.example/",
        "https://ada.hub.example@evil.example/",
        "https://ada.hub.example:pw@evil.example/",
        "https:ada.hub.example/user/ada",
        "https:/ada.hub.example/user/ada",
        "https:///ada.hub.example/user/ada",
        "https:\\\\ada.hub.example\\user",
        "//ada.hub.example/user/ada/lab",
        "https://ada.hub.example//evil.example/",
        "https://ada.hub.example",
        "https://\u24d0da.hub.example/user/ada/lab",
        "https://evil\u3002hub.example/",
        "https://evil\uff0f.hub.example/",
        "https://[::1].hub.example/",
        " https://ada.hub.example/user/ada/lab",
        "https://ada.hub.example\t/user/ada/lab",
        "javascript://ada.hub.example/%0aalert(1)",
    ],
)
def test_no_other_url_is_taken_for_one_of_those(text: str) -> None:
    assert safe_next(text, host="hub.example", origins=ORIGINS) == ""


@given(st.text(alphabet=st.sampled_from("/\\.:@?#%hubtpsexaml\t "), max_size=40))
def test_with_subdomains_no_text_leads_to_another_host(text: str) -> None:
    result = safe_next(text, host="hub.example", origins=ORIGINS)

    if result:
        assert urlsplit(urljoin("https://hub.example/hub/login", result)).netloc == "hub.example"
