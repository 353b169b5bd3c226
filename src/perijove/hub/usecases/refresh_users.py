"""
Asking the sign-in method again about people who are signed in (contract j, `auth_refresh_age`).

Asked at most once in a while for everybody, whoever asks at once waits for one answer, and a method that cannot judge
changes nothing unless it is to be strict. What each hub remembers of it is its own: another one asks for itself.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import NotAllowed, Unavailable
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.users import User
from perijove.hub.ports import RefreshRules, SignInMethod, Standing, Store
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.end_sessions import end_sessions
from perijove.hub.usecases.sign_out import Revocations
from perijove.hub.usecases.vouched import Vouched
from perijove.kit.clock import Clock
from perijove.kit.tasks import TaskGroup

log = structlog.get_logger(__name__)

#: people whose last answer is remembered; who is forgotten is asked about once more
MAX_REMEMBERED: Final = 50_000
#: seconds until a method that could not judge, or that refused somebody, is asked about them again
PAUSE: Final = 10.0


class RefreshUsers:
    """Knows when to ask, asks, and writes the answer down."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        method: SignInMethod,
        vouched: Vouched,
        auth_states: AuthStateBook,
        revocations: Revocations,
        tasks: TaskGroup,
    ) -> None:
        self._store = store
        self._clock = clock
        self._auth_states = auth_states
        self._revocations = revocations
        self._tasks = tasks
        self._asking: dict[int, asyncio.Task[Standing]] = {}
        #: user id → until when their standing is believed, in seconds of the monotonic clock, and what it is
        self._known: OrderedDict[int, tuple[float, Standing]] = OrderedDict()
        self.adopt(method, vouched)

    def adopt(self, method: SignInMethod, vouched: Vouched) -> None:
        """Ask another method from now on, and everybody anew."""
        self._method = method
        self._vouched = vouched
        self._rules: RefreshRules = method.refresh_rules
        self._known.clear()

    def note(self, user: User) -> None:
        """*user* has just proved who they are."""
        if self._rules.ever:
            self._remember(user, Standing.GOOD, self._rules.age)

    async def standing_of(self, user: User, session: Session | None) -> Standing:
        """
        Whether *user* may go on: not if STALE.

        Somebody who must sign in again loses the browser session that they come with. A token cannot sign in: it goes
        on with what is known of its owner, unless the rules are strict.

        Raises:
            Unavailable: the rules are strict, and the method cannot judge.
        """
        if not self._rules.age:
            return Standing.GOOD
        standing = await self._standing(user)
        if standing is Standing.UNKNOWN and self._rules.strict:
            raise Unavailable("Whether you may still be here cannot be told right now. Try again in a moment.")
        if standing is Standing.STALE and session is not None:
            await self._end(user, session)
        elif standing is Standing.STALE and not self._rules.strict:
            return Standing.GOOD
        return standing

    async def before_start(self, user: User, by: Principal | None) -> None:
        """Ask about *user*, if that is wanted before each start. Raises NotAllowed, Unavailable."""
        if self._rules.before_starts:
            await self._demand(user, by)

    async def before_stop(self, user: User, by: Principal | None) -> None:
        """Ask about *user*, if that is wanted before each stop. Raises NotAllowed, Unavailable."""
        # What the hub itself stops is idle or in the way, whoever its user is.
        if self._rules.before_stops and by is not None:
            await self._demand(user, by)

    async def _demand(self, user: User, by: Principal | None) -> None:
        standing = await self._ask(user)
        is_own_browser = by is not None and by.user_id == user.id and bool(by.session_id)
        if standing is Standing.STALE and (is_own_browser or self._rules.strict):
            raise NotAllowed(f"The sign-in of {user.name} has expired: sign in again.")
        if standing is Standing.UNKNOWN and self._rules.strict:
            raise Unavailable("Whether this may be done cannot be told right now. Try again in a moment.")

    async def _standing(self, user: User) -> Standing:
        until, standing = self._known.get(user.id, (0.0, Standing.GOOD))
        return standing if self._clock.monotonic() < until else await self._ask(user)

    async def _ask(self, user: User) -> Standing:
        """Once for all who wait for it."""
        task = self._asking.get(user.id)
        if task is None:
            task = self._tasks.start(f"refresh {user.name}", self._ask_once(user))
            self._asking[user.id] = task
            task.add_done_callback(lambda _: self._asking.pop(user.id, None))
        # Whoever goes away must not cancel the question for the others. No timeout: the method has one.
        return await asyncio.shield(task)

    async def _ask_once(self, user: User) -> Standing:
        try:
            answer = await self._method.refresh(user, await self._auth_states.get(user))
        except Unavailable:
            self._remember(user, Standing.UNKNOWN, PAUSE)
            return Standing.UNKNOWN
        if answer is False:
            log.warning("user.must_sign_in_again", user=user.name)
            self._remember(user, Standing.STALE, PAUSE)
            return Standing.STALE
        if answer is True:
            self._remember(user, Standing.GOOD, self._rules.age)
            return Standing.GOOD
        answer = await self._vouched.settled(answer) if answer.auth_state is not None else answer
        async with self._store.unit() as unit:
            # They may have been changed, or deleted, while the method thought about it.
            now = await unit.users.person(user.id)
            if now is None:
                return Standing.STALE
            adopted = await self._vouched.renewed(unit, now.user, answer)
        self._remember(user, Standing.GOOD, self._rules.age)
        await self._vouched.close(adopted)
        return Standing.CHANGED if adopted.has_changed else Standing.GOOD

    async def _end(self, user: User, session: Session) -> None:
        async with self._store.unit() as unit:
            sids = await end_sessions(unit, user, [session])
            now = self._clock.now()
            await record(unit, Action.SESSION_ENDED, at=now, by=None, target=user.name, session=session.id)
        await self._revocations.revoke_all(sids)

    def _remember(self, user: User, standing: Standing, seconds: float) -> None:
        self._known[user.id] = (self._clock.monotonic() + seconds, standing)
        self._known.move_to_end(user.id)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
