"""
What sign-in methods tell of people. Only adds.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("user_info", sa.JSON))
    op.add_column("users", sa.Column("managed_roles", sa.JSON))
