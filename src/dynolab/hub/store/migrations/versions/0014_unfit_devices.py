"""A device may be unfit for a while, for a reason that its agent tells."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("device", sa.Column("unfit", sa.Text(), server_default="", nullable=False))
