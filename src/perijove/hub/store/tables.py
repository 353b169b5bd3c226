"""
The tables, as SQLAlchemy Core knows them. The database is made by `migrations/`; a test compares the two.

Law: columns are only added, with a default that the last release can live with; renaming and removing take
two releases (a `pre` and a `post` migration), so that an old and a new hub can share a database for a while.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

#: largest id that fits into its column; ids of tokens and invitations come from outside
MAX_ID: Final = 2**31 - 1


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time. SQLite has no time zones, so it gets UTC without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # their signature
        """From the database."""
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

# `sqlite_autoincrement`: an id that was given once is never given again. Ids of tokens are shown and revoked by.

users: Final = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("last_activity", UtcDateTime),
    Column("display_name", Text, nullable=False),
    Column("user_info", JSON(none_as_null=True)),
    Column("managed_roles", JSON(none_as_null=True)),
    UniqueConstraint("name"),
    sqlite_autoincrement=True,
)

servers: Final = Table(
    "servers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("state", String(32), nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("handle", JSON, nullable=False),
    Column("target", Text, nullable=False),
    Column("started_at", UtcDateTime),
    Column("last_activity", UtcDateTime),
    Column("user_options", JSON, nullable=False),
    Column("failure", Text, nullable=False),
    Column("failure_log", JSON, nullable=False),
    Column("lease_holder", String(255), nullable=False),
    Column("lease_until", UtcDateTime),
    Column("queued_at", UtcDateTime),
    Column("busy_until", UtcDateTime),
    Column("keep_until", UtcDateTime),
    Column("stop_reason", Text, nullable=False, server_default=""),
    UniqueConstraint("user_id", "name"),
    # Both columns: who is active is answered from it alone, without looking into a row.
    Index("ix_servers_state_user_id", "state", "user_id"),
    Index(None, "lease_holder"),
    sqlite_autoincrement=True,
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    UniqueConstraint("secret_hash"),
    Index(None, "user_id"),
)

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("token_hash", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("note", Text, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("last_activity", UtcDateTime),
    Column("session_id", String(64), nullable=False),
    Column("server", String(511), nullable=False),
    Column("client_id", String(767), nullable=False, server_default=""),
    Index(None, "user_id"),
    Index(None, "prefix"),
    Index(None, "session_id"),
    Index(None, "server"),
    Index(None, "client_id"),
    sqlite_autoincrement=True,
)

accounts: Final = Table(
    "accounts",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("created", UtcDateTime, nullable=False),
)

invitations: Final = Table(
    "invitations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("code_hash", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    UniqueConstraint("code_hash"),
    sqlite_autoincrement=True,
)

groups: Final = Table(
    "groups",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("properties", JSON, nullable=False),
    UniqueConstraint("name"),
    sqlite_autoincrement=True,
)

group_members: Final = Table(
    "group_members",
    metadata,
    Column("group_id", Integer, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "user_id"),
)

hubs: Final = Table(
    "hubs",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("incarnation", BigInteger, nullable=False),
    Column("version", String(64), nullable=False),
    Column("started", UtcDateTime, nullable=False),
    Column("alive_until", UtcDateTime, nullable=False),
)

attempts: Final = Table(
    "attempts",
    metadata,
    Column("key", String(511), primary_key=True),
    Column("times", JSON, nullable=False),
    Column("latest", UtcDateTime, nullable=False),
    Index(None, "latest"),
)

shares: Final = Table(
    "shares",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("server_id", Integer, ForeignKey("servers.id", ondelete="CASCADE"), nullable=False),
    # With whom: exactly one of the two.
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE")),
    Column("group_id", Integer, ForeignKey("groups.id", ondelete="CASCADE")),
    Column("scopes", JSON, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    UniqueConstraint("server_id", "user_id", name="uq_shares_server_id_user_id"),
    UniqueConstraint("server_id", "group_id", name="uq_shares_server_id_group_id"),
    Index(None, "user_id"),
    Index(None, "group_id"),
    sqlite_autoincrement=True,
)

share_codes: Final = Table(
    "share_codes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("server_id", Integer, ForeignKey("servers.id", ondelete="CASCADE"), nullable=False),
    Column("code_hash", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("exchange_count", Integer, nullable=False),
    Column("last_exchanged_at", UtcDateTime),
    UniqueConstraint("code_hash"),
    Index(None, "server_id"),
    sqlite_autoincrement=True,
)

oauth_codes: Final = Table(
    "oauth_codes",
    metadata,
    Column("code_hash", String(64), primary_key=True),
    Column("client_id", String(767), nullable=False),
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("session_id", String(64), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("challenge", Text, nullable=False),
    Column("challenge_method", String(16), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "user_id"),
)

services: Final = Table(
    "services",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("prefix", String(16), nullable=False),
    Column("token_hash", String(64), nullable=False),
    Column("declaration", JSON, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Index(None, "prefix"),
)

auth_states: Final = Table(
    "auth_states",
    metadata,
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("sealed", Text, nullable=False),
)

audit: Final = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("action", String(64), nullable=False),
    Column("actor", Text, nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("address", Text, nullable=False),
    Column("sequence", Integer),
    Column("sealed_hash", String(64), nullable=False),
    UniqueConstraint("sequence"),
    Index(None, "at"),
    Index(None, "actor"),
    Index(None, "target"),
    sqlite_autoincrement=True,
)

facts: Final = Table(
    "facts",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("value", Text, nullable=False),
)
