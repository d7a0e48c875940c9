"""An index of the objects that blobs are made of: what no blob names is swept."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_index("ix_blob_keys", "blob", ["keys"], postgresql_using="gin")
