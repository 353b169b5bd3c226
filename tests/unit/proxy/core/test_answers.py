from __future__ import annotations

import json

from perijove.proxy.core.answers import Answer, phrase, plain_page, redirect, refusal


def test_an_answer_states_its_length() -> None:
    rendered = refusal(403, "no").render(close=False, head_only=False)
    head, _, body = rendered.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n" % len(body))
    assert b"Connection" not in head
    assert json.loads(body) == {"status": 403, "message": "no"}


def test_an_answer_to_head_has_no_body() -> None:
    rendered = Answer(status=200, body=b"abc").render(close=False, head_only=True)

    assert rendered.endswith(b"\r\n\r\n")
    assert b"Content-Length: 3" in rendered


def test_an_answer_before_closing_says_so() -> None:
    assert b"\r\nConnection: close\r\n" in Answer(status=400).render(close=True, head_only=False)


def test_a_redirect_says_where_to() -> None:
    assert b"\r\nLocation: /hub/enter?a=b\r\n" in redirect("/hub/enter?a=b").render(close=False, head_only=False)


def test_only_the_page_about_the_hub_looks_again_by_itself() -> None:
    assert b'http-equiv="refresh"' in plain_page(503, is_hub=True).body
    assert b'http-equiv="refresh"' not in plain_page(503, is_hub=False).body
    assert b'http-equiv="refresh"' not in plain_page(502, is_hub=True).body


def test_a_page_needs_nothing_from_elsewhere() -> None:
    """
    It is shown when nothing else answers.
    """
    page = plain_page(404, is_hub=False).body

    assert b"src=" not in page
    assert b"href=" not in page
    assert b"404 Not Found" in page


def test_an_unknown_status_has_a_phrase() -> None:
    assert phrase(599) == "Error"
    assert b"599" in plain_page(599, is_hub=False).body
