from __future__ import annotations

from perijove.hub.usecases import sign_out as module
from perijove.wire.control import Revocation
from tests.unit.hub.usecases.people import People


async def test_signing_out_ends_the_session_here_and_at_the_door() -> None:
    people = People()
    signed_in = await people.enter()

    await people.sign_out(signed_in.session, signed_in.user)

    assert await people.identify.by_session(signed_in.secret) is None
    assert people.proxy.revocations == [
        Revocation(before=int(people.clock.now().timestamp()), sid=signed_in.session.id)
    ]


async def test_other_sessions_go_on() -> None:
    people = People()
    here, elsewhere = await people.enter(), await people.enter()

    await people.sign_out(here.session, here.user)

    assert await people.identify.by_session(elsewhere.secret) is not None


async def test_a_proxy_that_was_away_hears_of_it_later_in_order() -> None:
    """
    Signing out works without a proxy; whoever was let in is thrown out once it is back.
    """
    people = People()
    people.proxy.is_away = True
    await people.revocations.revoke(sid="s1")
    await people.revocations.revoke(user="bob")
    nothing_yet = await people.outbox.send()
    people.proxy.is_away = False

    sent = await people.outbox.send()
    await people.outbox.send()

    assert (nothing_yet, sent) == (False, True)
    assert [(item.sid, item.user) for item in people.proxy.revocations] == [("s1", ""), ("", "bob")]


async def test_what_waits_for_the_proxy_is_bounded() -> None:
    people = People()
    people.proxy.is_away = True
    assert people.outbox._pending.maxlen == module.MAX_PENDING
