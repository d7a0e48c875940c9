"""Jobs that wait for others, deadlines and priorities, what models take and give, passwords."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("account", sa.Column("password_hash", sa.Text(), nullable=True))
    op.add_column("model", sa.Column("tensors", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("job", sa.Column("tensors", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("job", sa.Column("asked_priority", sa.Integer(), server_default="0", nullable=False))
    op.add_column("job", sa.Column("deadline_s", sa.Float(), nullable=True))
    op.create_table(
        "dependency",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("needed_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_dependency_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "needed_id", name=op.f("pk_dependency")),
    )
    op.create_index("ix_dependency_needed_id", "dependency", ["needed_id"])
