from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.proxy.core import haproxy_cli as cli
from perijove.proxy.core.haproxy_cli import CommandRefused, Unspeakable


@pytest.mark.parametrize(
    "text", ["", "a b", "a;b", "a\\b", "a\nb", "a\rb", "a\tb", "a\0b", "a'b", 'a"b', "#", "<<", ">", "é", "a\x7f"]
)
def test_what_means_something_to_haproxy_is_never_said(text: str) -> None:
    """
    A key that ends its command begins another: `x; shutdown sessions`.
    """
    with pytest.raises(Unspeakable):
        cli.add_entry("map", text, "value")
    with pytest.raises(Unspeakable):
        cli.set_entry("map", "key", text)
    with pytest.raises(Unspeakable):
        cli.delete_entry("map", text)
    with pytest.raises(Unspeakable):
        list(cli.fill("map", 1, {"key": text}))
    with pytest.raises(Unspeakable):
        cli.add_server("b/s", text)


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_command_is_always_one_line_of_the_same_words(key: str, value: str) -> None:
    try:
        command = cli.add_entry("map", key, value)
    except Unspeakable:
        return

    assert command.split(" ") == ["add", "map", "map", key, value]
    assert not set(command) & set(";\\\n\r\"'#<>")


def test_the_commands_of_an_entrys_life() -> None:
    assert [
        cli.add_entry("f", "/a/", "v"),
        cli.set_entry("f", "/a/", "w"),
        cli.delete_entry("f", "/a/"),
        cli.clear("f"),
        cli.prepare("f"),
        cli.commit("f", 3),
    ] == ["add map f /a/ v", "set map f /a/ w", "del map f /a/", "clear map f", "prepare map f", "commit map @3 f"]


def test_every_server_is_made_without_weight() -> None:
    commands = cli.add_server("b/s", "unix@/s")

    assert commands[0].startswith("add server b/s unix@/s weight 0 ")
    assert commands[1] == "enable server b/s"


def test_a_server_is_closed_before_it_is_forgotten() -> None:
    assert (*cli.close_server("b/s"), cli.delete_server("b/s")) == (
        "disable server b/s",
        "shutdown sessions server b/s",
        "del server b/s",
    )
    assert cli.cut_sessions("b/s") == "shutdown sessions server b/s"


def test_a_large_map_is_sent_in_pieces_that_fit_a_buffer() -> None:
    entries = {f"/user/u{number}/": "v" * 50 for number in range(1000)}
    commands = list(cli.fill("f", 7, entries))
    lines = [line for command in commands for line in command.split("\n")[1:] if line]

    assert len(commands) > 1
    assert max(map(len, commands)) < cli.MAX_PAYLOAD + 100
    assert all(command.startswith("add map @7 f <<\n") and command.endswith("\n") for command in commands)
    assert lines == [f"{key} {value}" for key, value in entries.items()]
    assert list(cli.fill("f", 7, {})) == []


def test_the_version_of_a_new_map_is_read() -> None:
    assert cli.read_version("New version created: 12\n") == 12
    with pytest.raises(CommandRefused):
        cli.read_version("Unknown map identifier.")


@pytest.mark.parametrize("answer", ["", "\n", "New server registered.\n"])
def test_silence_is_success(answer: str) -> None:
    cli.expect_silence("add map f k v", answer)


def test_what_is_said_otherwise_is_a_refusal() -> None:
    with pytest.raises(CommandRefused, match="add map @1 f <<: entry not found"):
        cli.expect_silence("add map @1 f <<\na b\n", "entry not found.\n")


@pytest.mark.parametrize(
    ("answer", "is_deleted"),
    [
        ("Server deleted.\n", True),
        ("No such server.\n", True),
        ("Server still has connections attached to it.\n", False),
    ],
)
def test_a_server_is_gone_when_haproxy_says_so(answer: str, *, is_deleted: bool) -> None:
    assert cli.is_deleted(answer) is is_deleted


def test_prompts_of_a_payload_are_no_part_of_the_answer() -> None:
    assert cli.read_answer(b"+ + + New version\n+ x") == "New version\n+ x"
    assert cli.read_answer(b"\xff") == "\ufffd"


def test_idle_times_are_what_is_missing_from_the_expiry() -> None:
    answer = (
        "# table: activity, type: string, size:102400, used:2\n"
        "0x5577dde6ddf8: key=k1r1 use=0 exp=9000 bytes_in_cnt=2\n"
        "0x7f80e005fb18: key=k1r2 use=1 exp=10500 bytes_in_cnt=2\n"
        "nonsense\n"
    )

    assert cli.read_idle_times(answer, expire=10.0) == {"k1r1": 1.0, "k1r2": 0.0}


def test_connections_and_stopping_are_read() -> None:
    info = "Name: HAProxy\nStopping: 1\nCurrConns: 7\nCumConns: 9\n"

    assert cli.read_connections(info) == 7
    assert cli.is_stopping(info)
    assert not cli.is_stopping("Stopping: 0\n")
    with pytest.raises(CommandRefused):
        cli.read_connections("CumConns: 9\n")


def test_backends_are_counted_by_kind_and_class() -> None:
    answer = (
        "# pxname,svname,bin,bout,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,\n"
        "b1x7,k1r7,9,9,9,9,9,9,9,\n"
        "b1x7,BACKEND,10,20,1,2,0,3,0,\n"
        "b1x8,BACKEND,1,2,,5,,,1,\n"
        "b0x1,BACKEND,0,0,0,4,6,0,0,\n"
        "worker,BACKEND,7,7,7,7,7,7,7,\n"
    )
    counted = cli.read_counters(answer)

    assert (counted.bytes_in, counted.bytes_out) == (11, 22)
    assert counted.requests == {1101: 1, 1200: 7, 1400: 3, 1500: 1, 200: 4, 300: 6}
