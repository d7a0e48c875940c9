"""How long the hub was away while an attempt ran: that does not count against the job's deadline."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("attempt", sa.Column("away_s", sa.Float(), server_default="0", nullable=False))
