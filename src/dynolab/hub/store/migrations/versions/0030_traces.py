"""The trace that a job belongs to. A column that may be empty: nothing is rewritten, and nobody waits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("job", sa.Column("traceparent", sa.Text(), nullable=True))
