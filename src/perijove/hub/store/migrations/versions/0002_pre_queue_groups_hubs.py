"""
The queue, groups, several hubs. Only adds, so that hubs of the last release go on working meanwhile.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for column in ("queued_at", "busy_until", "keep_until"):
        op.add_column("servers", sa.Column(column, _TIME))
    op.add_column("servers", sa.Column("stop_reason", sa.Text, nullable=False, server_default=""))
    op.create_index("ix_servers_lease_holder", "servers", ["lease_holder"])
    op.create_index("ix_servers_state_user_id", "servers", ["state", "user_id"])
    # Nothing can tell that it is gone: whatever used it uses the other.
    op.drop_index("ix_servers_state", "servers")
    _make_groups()
    _make_hubs()


def _make_groups() -> None:
    op.create_table(
        "groups",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("properties", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_groups"),
        sa.UniqueConstraint("name", name="uq_groups_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.Integer, nullable=False),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("group_id", "user_id", name="pk_group_members"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], ondelete="CASCADE", name="fk_group_members_group_id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_group_members_user_id"),
    )
    op.create_index("ix_group_members_user_id", "group_members", ["user_id"])


def _make_hubs() -> None:
    op.create_table(
        "hubs",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("incarnation", sa.BigInteger, nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("started", _TIME, nullable=False),
        sa.Column("alive_until", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_hubs"),
    )
    op.create_table(
        "attempts",
        sa.Column("key", sa.String(511), nullable=False),
        sa.Column("times", sa.JSON, nullable=False),
        sa.Column("latest", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_attempts"),
    )
    op.create_index("ix_attempts_latest", "attempts", ["latest"])
    op.create_table(
        "facts",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_facts"),
    )
