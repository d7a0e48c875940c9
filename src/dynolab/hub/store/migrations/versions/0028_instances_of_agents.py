"""Which process of an agent serves a device: one id of two boards is noticed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("device", sa.Column("instance", sa.Text(), server_default="", nullable=False))
    op.add_column("device", sa.Column("instances_before", ARRAY(sa.Text()), server_default="{}", nullable=False))
