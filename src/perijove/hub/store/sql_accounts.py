"""
Rows of local accounts and invitations, in SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update

from perijove.hub.domain.accounts import Account, AccountState, Invitation, InvitationKind
from perijove.hub.store.sqlite_thread import Executes
from perijove.hub.store.tables import MAX_ID, accounts, invitations
from perijove.hub.store.upsert import upsert

_PUT: Final = upsert(accounts, accounts.columns.keys(), key="name")


def _account_of(row: Row[Any]) -> Account:
    columns = dict(row._mapping)  # noqa: SLF001  # public, despite its name
    return Account(**{**columns, "state": AccountState(columns["state"])})


def _invitation_of(row: Row[Any]) -> Invitation:
    columns = dict(row._mapping)  # noqa: SLF001  # public, despite its name
    return Invitation(**{**columns, "kind": InvitationKind(columns["kind"])})


class SqlAccounts:
    """Rows of local accounts and invitations."""

    def __init__(self, connection: Executes) -> None:
        self._connection = connection

    async def get(self, name: str) -> Account | None:
        """The account of that name."""
        row = (await self._connection.execute(select(accounts).where(accounts.c.name == name))).one_or_none()
        return None if row is None else _account_of(row)

    async def put(self, account: Account) -> None:
        """Add it or replace the one of that name."""
        values = {
            "name": account.name,
            "password_hash": account.password_hash,
            "state": account.state.value,
            "created": account.created,
        }
        await self._connection.execute(_PUT, values)

    async def rename(self, name: str, new_name: str) -> None:
        """Nothing happens if there is none."""
        await self._connection.execute(update(accounts).where(accounts.c.name == name).values(name=new_name))

    async def delete(self, name: str) -> None:
        """Forget an account."""
        await self._connection.execute(delete(accounts).where(accounts.c.name == name))

    async def in_state(self, state: AccountState) -> Sequence[Account]:
        """All accounts in that state, oldest first."""
        found = select(accounts).where(accounts.c.state == state.value).order_by(accounts.c.created, accounts.c.name)
        return [_account_of(row) for row in await self._connection.execute(found)]

    async def add_invitation(self, invitation: Invitation) -> Invitation:
        """Keep an invitation under a new id."""
        values = {
            "kind": invitation.kind.value,
            "code_hash": invitation.code_hash,
            "name": invitation.name,
            "created": invitation.created,
            "expires_at": invitation.expires_at,
            "created_by": invitation.created_by,
        }
        done = await self._connection.execute(insert(invitations).values(values).returning(invitations.c.id))
        return replace(invitation, id=done.scalar_one())

    async def invitation(self, code_hash: str) -> Invitation | None:
        """The invitation with that code."""
        found = select(invitations).where(invitations.c.code_hash == code_hash)
        row = (await self._connection.execute(found)).one_or_none()
        return None if row is None else _invitation_of(row)

    async def take_invitation(self, code_hash: str) -> Invitation | None:
        """Remove and answer it, in one statement: of two who come at once only one gets it."""
        taken = delete(invitations).where(invitations.c.code_hash == code_hash).returning(*invitations.columns)
        row = (await self._connection.execute(taken)).one_or_none()
        return None if row is None else _invitation_of(row)

    async def invitations(self) -> Sequence[Invitation]:
        """All invitations, oldest first."""
        rows = await self._connection.execute(select(invitations).order_by(invitations.c.id))
        return [_invitation_of(row) for row in rows]

    async def delete_invitation(self, invitation_id: int) -> None:
        """Withdraw an invitation."""
        if invitation_id > MAX_ID:
            return
        await self._connection.execute(delete(invitations).where(invitations.c.id == invitation_id))

    async def delete_expired_invitations(self, now: datetime) -> int:
        """Forget invitations that have ended."""
        return (await self._connection.execute(delete(invitations).where(invitations.c.expires_at <= now))).rowcount
