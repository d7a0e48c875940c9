"""A job may make one model of several."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("job", sa.Column("linked_ids", ARRAY(sa.Text()), nullable=True))
    op.create_index(
        "ix_job_linked",
        "job",
        ["linked_ids"],
        postgresql_using="gin",
        postgresql_where=sa.text("linked_ids IS NOT NULL"),
    )
