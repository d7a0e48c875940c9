"""Jobs that wait for a toolchain are found at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_index(
        "ix_job_toolchain",
        "job",
        ["pool_id", "toolchain", "account_id"],
        postgresql_where=sa.text("state = 'queued' AND toolchain IS NOT NULL"),
    )
