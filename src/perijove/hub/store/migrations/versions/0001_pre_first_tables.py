"""
The first tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _make_users()
    _make_servers()
    _make_sessions()
    _make_tokens()
    _make_accounts()


def _user_id(table: str) -> sa.Column[int]:
    key = sa.ForeignKey("users.id", ondelete="CASCADE", name=f"fk_{table}_user_id")
    return sa.Column("user_id", sa.Integer, key, nullable=False)


def _make_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("admin", sa.Boolean, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("last_activity", _TIME),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
        sqlite_autoincrement=True,
    )


def _make_servers() -> None:
    op.create_table(
        "servers",
        sa.Column("id", sa.Integer, nullable=False),
        _user_id("servers"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("handle", sa.JSON, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("started_at", _TIME),
        sa.Column("last_activity", _TIME),
        sa.Column("user_options", sa.JSON, nullable=False),
        sa.Column("failure", sa.Text, nullable=False),
        sa.Column("failure_log", sa.JSON, nullable=False),
        sa.Column("lease_holder", sa.String(255), nullable=False),
        sa.Column("lease_until", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_servers"),
        sa.UniqueConstraint("user_id", "name", name="uq_servers_user_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_servers_state", "servers", ["state"])


def _make_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(64), nullable=False),
        _user_id("sessions"),
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("last_seen", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("secret_hash", name="uq_sessions_secret_hash"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])


def _make_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer, nullable=False),
        _user_id("tokens"),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("expires_at", _TIME),
        sa.Column("last_activity", _TIME),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("server", sa.String(511), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sqlite_autoincrement=True,
    )
    for column in ("user_id", "prefix", "session_id", "server"):
        op.create_index(f"ix_tokens_{column}", "tokens", [column])


def _make_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_accounts"),
    )
    op.create_table(
        "invitations",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("code_hash", name="uq_invitations_code_hash"),
        sqlite_autoincrement=True,
    )
