"""Deleted models and datasets, keys of submissions, and indexes for paging and for who refers to a blob."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

REFERENCES = {
    "model": ("blob_id",),
    "dataset": ("blob_id",),
    "job": ("result_blob_id",),
    "attempt": ("result_blob_id", "output_blob_id", "log_blob_id"),
}


def upgrade() -> None:
    """Forward."""
    for table in ("model", "dataset"):
        op.add_column(table, sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
        op.create_index(
            f"ix_{table}_account_created", table, ["account_id", sa.literal_column("created_at DESC"), "id"]
        )
    op.add_column("job", sa.Column("idempotency_key", sa.Text(), nullable=True))
    op.create_index("ix_job_model", "job", ["model_id"])
    op.create_index(
        "ix_job_idempotency_key",
        "job",
        ["account_id", "idempotency_key"],
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    for table, columns in REFERENCES.items():
        for column in columns:
            op.create_index(op.f(f"ix_{table}_{column}"), table, [column])
