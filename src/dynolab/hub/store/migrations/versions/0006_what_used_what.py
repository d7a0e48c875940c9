"""Indexes for what the pages ask: which jobs used or made a dataset, what a board did last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_index("ix_job_dataset", "job", ["dataset_id"])
    op.create_index("ix_job_output_dataset", "job", ["output_dataset_id"])
    op.create_index("ix_attempt_device_started", "attempt", ["device_id", sa.literal_column("started_at DESC"), "id"])
