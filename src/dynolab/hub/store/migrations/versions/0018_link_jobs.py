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
    for name in ("linked_ids", "source_ids"):
        op.add_column("job", sa.Column(name, ARRAY(sa.Text()), nullable=True))
        there = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_job_{name}", "job", [name], postgresql_using="gin", postgresql_where=there)
