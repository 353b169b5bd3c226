from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.proxy.core.access_log import (
    MAX_LINE,
    MAX_NAMES,
    CombinedLines,
    JsonLines,
    Served,
    lines_of,
    scrub,
)

MOMENT = 1_795_386_284.25  # 2026-11-22T22:24:44.250Z


def served(**changes: Any) -> Served:
    values: dict[str, Any] = {
        "moment": MOMENT, "peer": "192.0.2.7", "method": b"GET", "target": b"/user/ada/lab?x=1", "minor": 1,
        "status": 200, "received": 900, "sent": 1234, "duration": 0.0123456, "route": "/user/ada", "user": "ada",
        "referer": b"https://hub.example.org/hub/home", "agent": b"Mozilla/5.0 (X11)",
    }  # fmt: skip
    return Served(**(values | changes))


def as_json(**changes: Any) -> Any:
    line = JsonLines().render(served(**changes))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    return json.loads(line)


def test_a_line_of_json_says_who_asked_what_and_what_became_of_it() -> None:
    assert as_json() == {
        "time": "2026-11-22T22:24:44.250Z",
        "peer": "192.0.2.7",
        "method": "GET",
        "target": "/user/ada/lab?x=1",
        "status": 200,
        "bytes": 1234,
        "received": 900,
        "duration": 0.012346,
        "route": "/user/ada",
        "user": "ada",
    }


def test_a_combined_line_is_what_log_readers_expect() -> None:
    assert CombinedLines().render(served()) == (
        b'192.0.2.7 - ada [22/Nov/2026:22:24:44 +0000] "GET /user/ada/lab?x=1 HTTP/1.1" 200 1234 '
        b'"https://hub.example.org/hub/home" "Mozilla/5.0 (X11)"\n'
    )


def test_what_is_not_known_is_null_or_a_dash() -> None:
    nobody = {"peer": "", "route": "", "user": "", "referer": b"", "agent": b""}
    row = as_json(**nobody)

    assert (row["peer"], row["route"], row["user"]) == ("unix", None, None)
    assert CombinedLines().render(served(**nobody)).startswith(b"unix - - [")
    assert CombinedLines().render(served(**nobody)).endswith(b' "-" "-"\n')


@pytest.mark.parametrize("lines", [JsonLines(), CombinedLines()], ids=["json", "combined"])
def test_the_time_goes_on(lines: JsonLines | CombinedLines) -> None:
    """
    The second is remembered: it must not be remembered for too long.
    """
    stamps = [lines.render(served(moment=MOMENT + after)) for after in (0, 0.5, 1, 3600)]

    assert [re.findall(rb"2[23]:24:4\d", stamp)[0] for stamp in stamps] == [
        b"22:24:44", b"22:24:44", b"22:24:45", b"23:24:44",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (b"/lab", b"/lab"),
        (b"/lab?", b"/lab?"),
        (b"/api/contents?content=1&1700000000", b"/api/contents?content=1&1700000000"),
        (b"/hub/login?next=%2Fuser%2Fada%2Flab", b"/hub/login?next=%2Fuser%2Fada%2Flab"),
        (b"/ws?session_id=1-2", b"/ws?session_id=1-2"),
        (b"/ws?session_id=1&token=abc", b"/ws?session_id=1&token=***"),
        (b"/ws?TOKEN=abc", b"/ws?TOKEN=***"),
        (b"/ws?tok%65n=abc", b"/ws?tok%65n=***"),
        (b"/ws?tok%2565n=abc", b"/ws?tok%2565n=***"),
        (b"/ws?access_token=abc&x=1", b"/ws?access_token=***&x=1"),
        (b"/cb?code=abc&state=xyz", b"/cb?code=***&state=***"),
        (b"/hub/x?_xsrf=2%7Cabc", b"/hub/x?_xsrf=***"),
        (b"/x?client_secret=s&password=p&api_key=k", b"/x?client_secret=***&password=***&api_key=***"),
        (b"/hub/login?next=%2Fuser%2Fada%2F%3Ftoken%3Dabc", b"/hub/login?next=***"),
        (b"/hub/login?next=%252Fuser%253Ftoken%253Dabc", b"/hub/login?next=***"),
        (b"/x?to=code%3Dabc", b"/x?to=***"),
        (b"/x?next=/y?a=1;token=abc", b"/x?next=***"),
        (b"/x?content=/y?token=abc", b"/x?content=***"),
        (b"/x?token%3Dabc", b"/x?***"),
        (b"/x?%2525252525252541=1", b"/x?%2525252525252541=***"),
        (b"/x?a=%2525252525252541", b"/x?a=***"),
        (b"/x?a=%zz&b=%4", b"/x?a=%zz&b=%4"),
        (b"/x?a=b?c=d", b"/x?a=b?c=d"),
    ],
)
def test_values_that_are_secrets_are_hidden(target: bytes, shown: bytes) -> None:
    assert scrub(target) == shown


def test_a_secret_is_in_no_line() -> None:
    row = served(target=b"/user/ada/ws?token=abcdef", referer=b"https://hub/cb?code=abcdef")

    assert b"abcdef" not in JsonLines().render(row)
    assert b"abcdef" not in CombinedLines().render(row)


def test_nobody_writes_a_line_of_their_own() -> None:
    row = served(target=b'/x?"\\y"', agent=b'a" 200\r\n\x00\xff"', referer=b'"\t', user='a"b\n\x1b é', route='/x"\n\\')
    line = CombinedLines().render(row)

    assert as_json(target=row.target, user=row.user, route=row.route)["target"] == '/x?"\\y"'
    assert as_json(user=row.user)["user"] == row.user
    assert line.count(b"\n") == 1
    assert line.count(b'"') == 6
    assert rb"- a\x22b\x0A\x1B\x20\xC3\xA9 [" in line
    assert rb'"a\x22 200\x0D\x0A\x00\xFF\x22"' in line


@given(
    target=st.binary(max_size=9000).map(lambda raw: b"/" + bytes(33 + byte % 94 for byte in raw)),
    agent=st.binary(max_size=2000),
    user=st.text(max_size=300),
    route=st.text(max_size=300),
)
def test_every_line_is_whole_and_fits_into_a_pipe(target: bytes, agent: bytes, user: str, route: str) -> None:
    row = served(target=target, agent=agent, referer=agent, user=user, route=route)
    lines = JsonLines().render(row), CombinedLines().render(row)
    json.loads(lines[0])

    assert [line.count(b"\n") for line in lines] == [1, 1]
    assert all(len(line) <= MAX_LINE for line in lines)
    assert all(byte == 10 or 32 <= byte < 127 for byte in lines[1])


@pytest.mark.parametrize(
    ("target", "user"), [(b"/" + b'"' * 8000, "\U0001f600" * 255), (b"/" + b"x" * 8000, "é" * 200)]
)
def test_what_is_long_is_cut_and_says_so(target: bytes, user: str) -> None:
    row = as_json(target=target, user=user)

    assert row["target"].endswith("...")
    assert row["user"].endswith("...")
    assert len(CombinedLines().render(served(target=target, user=user, agent=b'"' * 9000))) <= MAX_LINE


def test_names_are_remembered_within_bounds() -> None:
    lines = JsonLines()
    for number in range(MAX_NAMES + 10):
        lines.render(served(route=f"/user/{number}", user=""))

    assert len(lines._names) <= MAX_NAMES


def test_formats_have_names() -> None:
    assert isinstance(lines_of("json"), JsonLines)
    assert isinstance(lines_of("combined"), CombinedLines)
