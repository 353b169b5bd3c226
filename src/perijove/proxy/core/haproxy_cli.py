r"""
The words of haproxy's runtime socket (its management guide, section 9.3), and what its answers mean.

A command is a line, words are split at spaces, `;` ends a command, `\` escapes, `<<` begins a payload. Nothing is
escaped here: a word that is not plain is refused before it is sent, because names, keys and values of ours are
made so that they never need it (`haproxy_routes.py`). `haproxy/runtime.py` sends these.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from perijove.proxy.core.errors import ProxyError
from perijove.proxy.core.statistics import STATUSES, SWITCHED, Statistics

#: Ends an answer in interactive mode.
PROMPT: Final = b"\n> "
#: Bytes of payload in one command: the whole of it must fit into one of haproxy's buffers (`tune.bufsize`).
MAX_PAYLOAD: Final = 12 * 1024

#: What every server has. Weight 0 is what keeps people apart: a server that is not there is looked for by load
#: balancing, and that finds only servers with a weight. Those made at run time have none of the usual defaults.
SERVER_OPTIONS: Final = "weight 0 pool-max-conn 32 pool-purge-delay 4s"

_WORD: Final = re.compile(r"[!-~]+")
_SPECIAL: Final = re.compile(r"[;\\\"'#<>]")
_CONTINUATION: Final = re.compile(r"(?:\+ )+")
_TABLE_LINE: Final = re.compile(r"0x[0-9a-f]+: key=(\S+) use=\d+ exp=(\d+)(?: |$)")
_BACKEND: Final = re.compile(r"b([0-9])x[0-9]+")
_CLASSES: Final = {"hrsp_1xx": SWITCHED, "hrsp_2xx": 200, "hrsp_3xx": 300, "hrsp_4xx": 400, "hrsp_5xx": 500}
_CONNECTIONS: Final = re.compile(r"^CurrConns: (\d+)$", re.MULTILINE)
_STOPPING: Final = re.compile(r"^Stopping: 1$", re.MULTILINE)
_VERSION: Final = re.compile(r"New version created: (\d+)")


class Unspeakable(ProxyError):
    """This cannot be a word of a command to haproxy."""


class CommandRefused(ProxyError):
    """haproxy refused a command."""


def word(text: str) -> str:
    """
    *text*, if it is one word on the runtime socket and in a map file.

    Raises:
        Unspeakable: it has a space, a control character, or one that means something there.
    """
    if _WORD.fullmatch(text) is None or _SPECIAL.search(text):
        raise Unspeakable
    return text


def add_entry(map_file: str, key: str, value: str) -> str:
    """The command for a key that is not in the map yet: `add map` does not look, and the first of two would win."""
    return f"add map {word(map_file)} {word(key)} {word(value)}"


def set_entry(map_file: str, key: str, value: str) -> str:
    """The command for a key that is in the map."""
    return f"set map {word(map_file)} {word(key)} {word(value)}"


def delete_entry(map_file: str, key: str) -> str:
    """The command that removes all entries of *key*."""
    return f"del map {word(map_file)} {word(key)}"


def clear(map_file: str) -> str:
    """The command that empties a map."""
    return f"clear map {word(map_file)}"


def prepare(map_file: str) -> str:
    """The command that begins a new version of a map; see `read_version`."""
    return f"prepare map {word(map_file)}"


def read_version(answer: str) -> int:
    """
    The number of the version that `prepare` has begun.

    Raises:
        CommandRefused: there is none.
    """
    match = _VERSION.search(answer)
    if match is None:
        raise CommandRefused(f"prepare map: {answer.strip()}")
    return int(match[1])


def fill(map_file: str, version: int, entries: Mapping[str, str]) -> Iterator[str]:
    """The commands that put *entries* into a new version."""
    for lines in _batches(f"{word(key)} {word(value)}" for key, value in entries.items()):
        yield f"add map @{version} {word(map_file)} <<\n" + "\n".join(lines) + "\n"


def commit(map_file: str, version: int) -> str:
    """The command that makes a new version the map, in one step."""
    return f"commit map @{version} {word(map_file)}"


def add_server(name: str, address: str) -> tuple[str, str]:
    """The commands that make a server known."""
    return f"add server {word(name)} {word(address)} {SERVER_OPTIONS}", f"enable server {word(name)}"


def close_server(name: str) -> tuple[str, str]:
    """The commands that close a server to new requests and cut what is open to it."""
    return f"disable server {word(name)}", f"shutdown sessions server {word(name)}"


def cut_sessions(name: str) -> str:
    """The command that cuts what is open to a server."""
    return f"shutdown sessions server {word(name)}"


def delete_server(name: str) -> str:
    """The command that forgets a closed server; refused while a connection to it is open."""
    return f"del server {word(name)}"


def is_deleted(answer: str) -> bool:
    """Whether that server is no more."""
    return "Server deleted" in answer or "No such server" in answer


def expect_silence(command: str, answer: str) -> None:
    """
    For commands that say something only if they failed.

    Raises:
        CommandRefused: it did.
    """
    said = answer.strip()
    if said and "New server registered" not in said:
        raise CommandRefused(f"{command.partition(chr(10))[0]}: {said}")


def read_answer(raw: bytes) -> str:
    """The text of an answer, without the prompts that a payload's lines are answered with."""
    return _CONTINUATION.sub("", raw.decode("utf-8", "replace"), count=1)


def read_idle_times(answer: str, *, expire: float) -> dict[str, float]:
    """
    Seconds since each key of a stick table was last touched.

    Args:
        answer: to `show table`.
        expire: seconds after which the table forgets a key.
    """
    found = (_TABLE_LINE.match(line) for line in answer.splitlines())
    return {match[1]: max(0.0, expire - int(match[2]) / 1000) for match in found if match}


def read_connections(answer: str) -> int:
    """
    How many connections there are, this one among them.

    Args:
        answer: to `show info`.

    Raises:
        CommandRefused: it does not say.
    """
    match = _CONNECTIONS.search(answer)
    if match is None:
        raise CommandRefused("show info: no CurrConns")
    return int(match[1])


def read_counters(answer: str) -> Statistics:
    """
    What the servers' backends have counted: haproxy knows of an answer only its class, so 200 stands for all 2xx.

    Args:
        answer: to `show stat`.
    """
    counted = Statistics()
    rows = csv.DictReader(answer.removeprefix("# ").splitlines())
    for row in rows:
        match = _BACKEND.fullmatch(row.get("pxname") or "")
        if match is None or row["svname"] != "BACKEND":
            continue
        counted.bytes_in += int(row["bin"] or 0)
        counted.bytes_out += int(row["bout"] or 0)
        for column, status in _CLASSES.items():
            count = int(row[column] or 0)
            if count:
                key = int(match[1]) * STATUSES + status
                counted.requests[key] = counted.requests.get(key, 0) + count
    return counted


def is_stopping(answer: str) -> bool:
    """Whether a haproxy accepts no more connections, by its answer to `show info`."""
    return _STOPPING.search(answer) is not None


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for line in lines:
        if batch and size + len(line) + 1 > MAX_PAYLOAD:
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield batch
