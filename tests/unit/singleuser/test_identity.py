from __future__ import annotations

from datetime import UTC, datetime, timedelta

from perijove.kit.jws import SigningKey, Verifier
from perijove.singleuser.identity import MAX_VERDICTS, Door
from perijove.wire.identity import IdentityClaims

KEY = SigningKey.generate()
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class FixedClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


class CountingVerifier(Verifier):
    calls = 0

    def verify(self, token: str, *, audience: str, now: datetime, leeway: float = 30.0) -> dict[str, object]:
        self.calls += 1
        return super().verify(token, audience=audience, now=now, leeway=leeway)


def token(number: int = 0, *, audience: str = "ada/", sid: str = "s", name: str = "Ada Lovelace") -> str:
    seconds = int(NOW.timestamp())
    claims = IdentityClaims(
        sub="ada", sid=sid, aud=audience, scope=("read",), name=name, iat=seconds, exp=seconds + 60, jti=str(number)
    )
    return KEY.sign(claims.to_claims())


def door() -> tuple[Door, CountingVerifier, FixedClock]:
    verifier, clock = CountingVerifier([KEY.public_jwk]), FixedClock()
    return Door(verifier=verifier, audience="ada/", clock=clock), verifier, clock


def test_a_statement_is_verified_once() -> None:
    """
    JupyterLab asks a hundred times a minute; a signature costs a tenth of a millisecond.
    """
    opened, verifier, _ = door()
    statement = token()

    first, second = opened.admit(statement), opened.admit(statement)

    assert first is second
    assert first is not None
    assert (first.username, first.display_name, first.initials, first.scopes) == (
        "ada",
        "Ada Lovelace",
        "AL",
        ("read",),
    )
    assert verifier.calls == 1


def test_a_remembered_statement_expires_all_the_same() -> None:
    opened, _, clock = door()
    statement = token()
    opened.admit(statement)
    clock.time = NOW + timedelta(minutes=2)

    assert opened.admit(statement) is None


def test_another_servers_statement_is_nobodys() -> None:
    opened, _, _ = door()

    assert opened.admit(token(audience="eve/")) is None
    assert opened.admit("") is None


def test_only_hub_tokens_are_programs() -> None:
    opened, _, _ = door()
    person, program = opened.admit(token()), opened.admit(token(sid="token:1"))

    assert person is not None
    assert program is not None
    assert (person.by_token, program.by_token) == (False, True)


def test_memory_of_statements_is_bounded() -> None:
    opened, _, _ = door()
    for number in range(MAX_VERDICTS + 5):
        opened.admit(token(number))

    assert len(opened._verdicts) == MAX_VERDICTS
