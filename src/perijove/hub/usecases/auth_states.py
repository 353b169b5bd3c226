"""
Auth states: what a sign-in method wants remembered of a user, such as tokens of another system. Sealed at rest.

Without `Authenticator.enable_auth_state` nothing is kept and nothing is read. What no key opens any more is as if it
were not there: the log says so, and the next sign-in makes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import structlog

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.users import User
from perijove.hub.ports import CannotOpen, Store, Unit, Vault

log = structlog.get_logger(__name__)

#: Longest state, as JSON: a few tokens and what an identity provider says of somebody.
MAX_STATE: Final = 256 * 1024
#: rows that are looked at in one round when keys have changed
_BATCH: Final = 100


class AuthStateBook:
    """Keeps them; None for a vault means that nothing is kept."""

    def __init__(self, *, store: Store, vault: Vault | None) -> None:
        self._store = store
        self._vault = vault

    def adopt(self, vault: Vault | None) -> None:
        """Go on with these keys."""
        self._vault = vault

    @property
    def is_enabled(self) -> bool:
        """Whether anything is kept."""
        return self._vault is not None

    async def get(self, user: User) -> Mapping[str, Any] | None:
        """What is kept of *user*; None: nothing, or nothing that a key opens."""
        if self._vault is None:
            return None
        async with self._store.reading() as unit:
            sealed = await unit.auth_states.get(user.id)
        return None if sealed is None else self._opened(self._vault, user, sealed)

    async def put_in(self, unit: Unit, user: User, state: Mapping[str, Any] | None) -> None:
        """
        Keep *state* of *user* as a part of *unit*; None forgets it. Where nothing is kept, nothing happens.

        Raises:
            InvalidRequest: it is too long, or cannot be written as JSON.
        """
        if self._vault is None:
            return
        await unit.auth_states.put(user.id, None if state is None else self._sealed(self._vault, user, state))

    def check(self, state: Mapping[str, Any] | None) -> None:
        """Raises InvalidRequest if *state* is something, and nothing is kept here."""
        if state is not None and self._vault is None:
            raise InvalidRequest("No auth state is kept here: c.Authenticator.enable_auth_state is not set.")

    async def renew(self) -> None:
        """Seal with the first key what another one sealed, so that the others can be taken away."""
        if self._vault is None:
            return
        renewed, lost, after = 0, 0, 0
        while True:
            async with self._store.reading() as unit:
                rows = await unit.auth_states.page(after=after, limit=_BATCH)
            if not rows:
                break
            after = rows[-1][0]
            due = [(user_id, sealed) for user_id, sealed in rows if not self._vault.is_current(sealed)]
            if due:
                done = await self._renew(self._vault, due)
                renewed, lost = renewed + done, lost + len(due) - done
        if renewed:
            log.info("auth_state.renewed", users=renewed)
        if lost:
            log.warning("auth_state.unreadable", users=lost, hint="the key that sealed them is not among the keys")

    async def _renew(self, vault: Vault, due: list[tuple[int, str]]) -> int:
        done = 0
        async with self._store.unit() as unit:
            for user_id, sealed in due:
                try:
                    text = vault.open(sealed)
                except CannotOpen:
                    continue
                # Unless it was replaced meanwhile, by what the first key has sealed.
                await unit.auth_states.swap(user_id, sealed, vault.seal(text))
                done += 1
        return done

    def _opened(self, vault: Vault, user: User, sealed: str) -> Mapping[str, Any] | None:
        try:
            held = json.loads(vault.open(sealed))
        except CannotOpen:
            log.warning("auth_state.unreadable", user=user.name, hint="the key that sealed it is not among the keys")
            return None
        # Whoever can write to the database must not be able to give one user what is another's.
        if held["user_id"] != user.id:
            log.error("auth_state.foreign", user=user.name)
            return None
        state: Mapping[str, Any] = held["state"]
        return state

    def _sealed(self, vault: Vault, user: User, state: Mapping[str, Any]) -> str:
        try:
            text = json.dumps({"user_id": user.id, "state": state})
        except (TypeError, ValueError) as exc:
            raise InvalidRequest("An auth state must be something that JSON can say.") from exc
        if len(text) > MAX_STATE:
            raise InvalidRequest(f"An auth state may have {MAX_STATE} characters at most.")
        return vault.seal(text)
