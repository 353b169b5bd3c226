"""
Services that the hub has run for it (contract g, `command`): what to run, and which run it is. Pure.

Law: a run has a generation, as a server's has. Of several hubs that want to start the same run only one does, and the
others find it. A new generation begins when the one before has ended, or when the declaration is another one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from perijove.hub.domain.errors import InvalidRequest

#: seconds before a service that ended is run again: the first time, and the longest
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
#: a run that lasted for so many seconds is a good one: after it the pauses begin anew
GOOD_RUN: Final = 60.0
#: seconds that a service with a URL gets until it answers there (contract g)
ANSWER_SECONDS: Final = 30.0
#: keys of contract g that say how to run it
KEYS: Final = frozenset({"command", "cwd", "environment", "user"})
#: characters of a token that is made up for a service
_TOKEN_DIGITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedService:
    """How to run one service."""

    name: str
    command: tuple[str, ...]
    #: empty: the home of whom it runs as
    cwd: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    #: system user; empty: one of its own
    user: str = ""
    #: of the hub's API
    token: str = field(default="", repr=False)
    #: where it listens; empty: nowhere
    url: str = ""
    #: seconds that one that listens gets until it answers
    timeout: float = ANSWER_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Which run of a service is wanted; all hubs agree on it in the store."""

    generation: int
    #: of what it was begun with: see `fingerprint_of`
    fingerprint: str

    def to_text(self) -> str:
        """As it is stored."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str | None) -> Run | None:
        """What `to_text` made; None if there is nothing."""
        return None if text is None else cls(**json.loads(text))


def fingerprint_of(service: ManagedService, variables: Mapping[str, str]) -> str:
    """Differs for services that run differently; *variables* are the environment that it gets."""
    told = [service.command, service.cwd, service.user, sorted(variables.items())]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def read_managed(declared: Mapping[str, Any]) -> ManagedService | None:
    """
    What an item of `services` says of how to run it; None if somebody else does.

    Raises:
        InvalidRequest: a value is of the wrong kind, or it says how without saying what.
    """
    name = str(declared.get("name", ""))
    what = f"The service {name!r}"
    command = _command(declared.get("command", ()), what)
    if not command:
        lonely = sorted(KEYS.intersection(declared) - {"command"})
        if lonely:
            raise InvalidRequest(f"{what} has {lonely[0]} but no command: the hub does not run it.")
        return None
    environment = declared.get("environment", {})
    if not isinstance(environment, Mapping) or not all(
        isinstance(part, str) and "\0" not in part for pair in environment.items() for part in pair
    ):
        raise InvalidRequest(f"{what}: environment must be a dictionary of texts.")
    return ManagedService(
        name=name,
        command=command,
        cwd=_text(declared, "cwd", what),
        environment=dict(environment),
        user=_text(declared, "user", what),
        url=_text(declared, "url", what).rstrip("/"),
        timeout=_seconds(declared, what),
    )


def with_token(declared: Mapping[str, Any], secret: bytes) -> Mapping[str, Any]:
    """
    An item of `services`, with a token if the hub runs it and it has none.

    The token follows from *secret*, which all hubs have alike and nobody else knows: so it need not be stored, and a
    service outlives the hub that started it.
    """
    if not declared.get("command") or declared.get("api_token"):
        return declared
    digest = hmac.digest(secret, f"token of the service {declared.get('name')}".encode(), "sha256")
    return {**declared, "api_token": digest.hex()[:_TOKEN_DIGITS]}


def next_pause(before: float, lasted: float) -> float:
    """
    Seconds to wait until a service that has ended is run again.

    Args:
        before: how long was waited the last time; 0: not at all.
        lasted: seconds of the run that has ended.
    """
    return FIRST_PAUSE if not before or lasted >= GOOD_RUN else min(before * 2, LONGEST_PAUSE)


def _command(value: object, what: str) -> tuple[str, ...]:
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value))
        except ValueError as exc:
            raise InvalidRequest(f"{what}: command cannot be read: {exc}.") from exc
    if not isinstance(value, Sequence) or not all(isinstance(word, str) and "\0" not in word for word in value):
        raise InvalidRequest(f"{what}: command must be a list of words.")
    return tuple(value)


def _seconds(declared: Mapping[str, Any], what: str) -> float:
    value = declared.get("timeout", ANSWER_SECONDS)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise InvalidRequest(f"{what}: timeout must be a number of seconds.")
    return float(value)


def _text(declared: Mapping[str, Any], key: str, what: str) -> str:
    value = declared.get(key) or ""
    if not isinstance(value, str) or "\0" in value:
        raise InvalidRequest(f"{what}: {key} must be text.")
    return value
