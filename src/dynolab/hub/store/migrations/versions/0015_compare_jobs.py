"""A job may compare its model with another one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("job", sa.Column("baseline_id", sa.Text(), sa.ForeignKey("model.id"), nullable=True))
    op.add_column("job", sa.Column("comparison", JSONB(), nullable=True))
    op.create_index("ix_job_baseline", "job", ["baseline_id"], postgresql_where=sa.text("baseline_id IS NOT NULL"))
