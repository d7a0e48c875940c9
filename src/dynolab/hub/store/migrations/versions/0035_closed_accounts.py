"""Accounts that were closed stay so, however somebody signs in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("account", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
