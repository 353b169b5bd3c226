"""
Certificates of the parts, in handshakes of OpenSSL as any program makes them: who is let in, and who is not.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perijove.kit.authority import Authority, BadAuthority, BadName, KeyPair
from perijove.wire.trust import CALLS, LISTENS, TRUSTS, Role

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
LOCAL = ("DNS:localhost", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def authorities() -> dict[Role, Authority]:
    return {role: Authority.make(f"{role.value} authority", now=NOW, lifetime=DAY) for role in Role}


def issued(authority: Authority, role: Role, *, now: datetime = NOW) -> KeyPair:
    return authority.issue(
        role.value,
        alternative_names=LOCAL,
        listens=role in LISTENS,
        calls=role in CALLS,
        now=now,
        lifetime=timedelta(hours=1),
    )


def context(
    side: int, folder: Path, own: KeyPair | None, accepted: frozenset[Role], authorities: dict[Role, Authority]
) -> ssl.SSLContext:
    made = ssl.SSLContext(side)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata="".join(authorities[role].pem.cert.decode() for role in accepted))
    if own is not None:
        path = folder / "pair.pem"
        path.write_bytes(own.cert + own.key)
        made.load_cert_chain(path)
    return made


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str = "127.0.0.1") -> None:
    """Until both are content. Raises SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(down, up, server_hostname=name)
    called = server.wrap_bio(up, down, server_side=True)
    waiting = [caller, called]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
        if not waiting:
            return
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("called", [role for role in Role if role in LISTENS])
@pytest.mark.parametrize("caller", list(Role))
def test_who_may_call_whom_is_what_the_table_says(
    caller: Role, called: Role, authorities: dict[Role, Authority], tmp_path: Path
) -> None:
    """
    A server cannot call the control API, nor another's server; who only listens calls nobody.
    """
    client = context(
        ssl.PROTOCOL_TLS_CLIENT, tmp_path, issued(authorities[caller], caller), TRUSTS[Role.HUB], authorities
    )
    server = context(
        ssl.PROTOCOL_TLS_SERVER, tmp_path, issued(authorities[called], called), TRUSTS[called], authorities
    )

    if caller in TRUSTS[called] and caller in CALLS:
        shake_hands(client, server)
    else:
        with pytest.raises(ssl.SSLError):
            shake_hands(client, server)


def test_who_has_no_certificate_is_refused(authorities: dict[Role, Authority], tmp_path: Path) -> None:
    client = context(ssl.PROTOCOL_TLS_CLIENT, tmp_path, None, frozenset(Role), authorities)
    own = issued(authorities[Role.HUB], Role.HUB)
    server = context(ssl.PROTOCOL_TLS_SERVER, tmp_path, own, TRUSTS[Role.HUB], authorities)

    with pytest.raises(ssl.SSLError, match=r"(?i)peer.did.not.return.a.certificate"):
        shake_hands(client, server)


@pytest.mark.parametrize("now", [NOW - DAY, NOW + timedelta(hours=2)], ids=["over", "not yet"])
def test_a_certificate_is_good_for_its_time_alone(
    now: datetime, authorities: dict[Role, Authority], tmp_path: Path
) -> None:
    own = issued(authorities[Role.HUB], Role.HUB)
    late = issued(authorities[Role.SERVERS], Role.SERVERS, now=now)
    client = context(ssl.PROTOCOL_TLS_CLIENT, tmp_path, own, TRUSTS[Role.HUB], authorities)
    server = context(ssl.PROTOCOL_TLS_SERVER, tmp_path, late, TRUSTS[Role.SERVERS], authorities)

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(client, server)


@pytest.mark.parametrize("listening", [Role.SERVERS, Role.PROXY_CLIENT], ids=lambda role: role.value)
def test_nobody_passes_for_the_hub_towards_a_server(
    listening: Role, authorities: dict[Role, Authority], tmp_path: Path
) -> None:
    """
    A server calls the hub with the authorities that it accepts callers of: the proxy's is one, and no hub's.
    """
    client = context(
        ssl.PROTOCOL_TLS_CLIENT,
        tmp_path,
        issued(authorities[Role.SERVERS], Role.SERVERS),
        TRUSTS[Role.SERVERS],
        authorities,
    )
    false = issued(authorities[listening], listening)
    server = context(ssl.PROTOCOL_TLS_SERVER, tmp_path, false, TRUSTS[Role.HUB], authorities)

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(client, server)


def test_a_name_that_is_not_in_the_certificate_is_refused(authorities: dict[Role, Authority], tmp_path: Path) -> None:
    hub = issued(authorities[Role.HUB], Role.HUB)
    client = context(ssl.PROTOCOL_TLS_CLIENT, tmp_path, hub, TRUSTS[Role.HUB], authorities)
    server = context(ssl.PROTOCOL_TLS_SERVER, tmp_path, hub, TRUSTS[Role.HUB], authorities)

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(client, server, "10.0.0.5")


def test_an_authority_is_read_again(authorities: dict[Role, Authority], tmp_path: Path) -> None:
    own = issued(Authority.from_pem(authorities[Role.HUB].pem), Role.HUB)
    both = {
        side: context(side, tmp_path, own, frozenset({Role.HUB}), authorities)
        for side in (ssl.PROTOCOL_TLS_CLIENT, ssl.PROTOCOL_TLS_SERVER)
    }

    shake_hands(both[ssl.PROTOCOL_TLS_CLIENT], both[ssl.PROTOCOL_TLS_SERVER])


def test_what_is_no_authority_is_refused(authorities: dict[Role, Authority]) -> None:
    hub, other = authorities[Role.HUB].pem, authorities[Role.SERVERS].pem
    leaf = issued(authorities[Role.HUB], Role.HUB)

    for pair in (leaf, KeyPair(cert=hub.cert, key=other.key), KeyPair(cert=b"", key=b"")):
        with pytest.raises(BadAuthority):
            Authority.from_pem(pair)


@pytest.mark.parametrize("name", ["", "hub", "DNS:", "IP:hub", "URI:http://hub", "DNS:höb"])
def test_a_name_of_no_kind_is_refused(name: str, authorities: dict[Role, Authority]) -> None:
    with pytest.raises(BadName):
        authorities[Role.HUB].issue("hub", alternative_names=[name], listens=True, calls=True, now=NOW, lifetime=DAY)
