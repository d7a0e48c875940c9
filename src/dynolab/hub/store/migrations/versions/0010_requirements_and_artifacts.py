"""What a job may be told: shapes of inputs, what the profile is held against, whether what compile makes is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("job", sa.Column("input_shapes", JSONB(), server_default="{}", nullable=False))
    op.add_column("job", sa.Column("requirements", ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("job", sa.Column("keeps_artifact", sa.Boolean(), server_default=sa.false(), nullable=False))
    for table in ("job", "attempt"):
        op.add_column(table, sa.Column("artifact_blob_id", sa.Text(), sa.ForeignKey("blob.id"), nullable=True))
        op.create_index(f"ix_{table}_artifact_blob_id", table, ["artifact_blob_id"])
