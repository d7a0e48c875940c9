"""A job may make a model."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("job", sa.Column("toolchain", sa.Text(), nullable=True))
    op.add_column("job", sa.Column("input_specs", JSONB(), nullable=True))
    op.add_column("job", sa.Column("weights_dtype", sa.Text(), nullable=True))
    op.add_column("job", sa.Column("activations_dtype", sa.Text(), nullable=True))
    op.add_column("job", sa.Column("target_model_id", sa.Text(), sa.ForeignKey("model.id"), nullable=True))
    op.create_index(
        "ix_job_target", "job", ["target_model_id"], postgresql_where=sa.text("target_model_id IS NOT NULL")
    )
