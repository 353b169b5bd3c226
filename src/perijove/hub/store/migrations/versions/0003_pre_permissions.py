"""
Shares, authorization codes, services at run time, auth state, the audit log. Only adds.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("tokens", sa.Column("client_id", sa.String(767), nullable=False, server_default=""))
    op.create_index("ix_tokens_client_id", "tokens", ["client_id"])
    _make_shares()
    _make_oauth_codes()
    _make_services()
    _make_audit()


def _make_shares() -> None:
    op.create_table(
        "shares",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("server_id", sa.Integer, nullable=False),
        sa.Column("user_id", sa.Integer),
        sa.Column("group_id", sa.Integer),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shares"),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], ondelete="CASCADE", name="fk_shares_server_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_shares_user_id"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], ondelete="CASCADE", name="fk_shares_group_id"),
        sa.UniqueConstraint("server_id", "user_id", name="uq_shares_server_id_user_id"),
        sa.UniqueConstraint("server_id", "group_id", name="uq_shares_server_id_group_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_shares_user_id", "shares", ["user_id"])
    op.create_index("ix_shares_group_id", "shares", ["group_id"])
    op.create_table(
        "share_codes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("server_id", sa.Integer, nullable=False),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("exchange_count", sa.Integer, nullable=False),
        sa.Column("last_exchanged_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_share_codes"),
        sa.ForeignKeyConstraint(["server_id"], ["servers.id"], ondelete="CASCADE", name="fk_share_codes_server_id"),
        sa.UniqueConstraint("code_hash", name="uq_share_codes_code_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_share_codes_server_id", "share_codes", ["server_id"])


def _make_oauth_codes() -> None:
    op.create_table(
        "oauth_codes",
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(767), nullable=False),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("redirect_uri", sa.Text, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("challenge", sa.Text, nullable=False),
        sa.Column("challenge_method", sa.String(16), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("code_hash", name="pk_oauth_codes"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_oauth_codes_user_id"),
    )
    op.create_index("ix_oauth_codes_user_id", "oauth_codes", ["user_id"])


def _make_services() -> None:
    op.create_table(
        "services",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("declaration", sa.JSON, nullable=False),
        sa.Column("created", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_services"),
    )
    op.create_index("ix_services_prefix", "services", ["prefix"])
    op.create_table(
        "auth_states",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_auth_states"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_auth_states_user_id"),
    )


def _make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("actor_kind", sa.String(16), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer),
        sa.Column("sealed_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sa.UniqueConstraint("sequence", name="uq_audit_sequence"),
        sqlite_autoincrement=True,
    )
    for column in ("at", "actor", "target"):
        op.create_index(f"ix_audit_{column}", "audit", [column])
