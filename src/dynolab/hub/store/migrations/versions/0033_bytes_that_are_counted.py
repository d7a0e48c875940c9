"""Blobs whose bytes the hub has not read yet are found at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0030"
branch_labels = None
depends_on = None

UNREAD = "(digests IS NULL OR array_position(digests, NULL) IS NOT NULL)"


def upgrade() -> None:
    """Forward. Whoever has a large hub makes the index before, with CREATE INDEX CONCURRENTLY and this name (docs/scale.md)."""
    op.create_index("ix_blob_unread", "blob", ["id"], postgresql_where=sa.text(UNREAD), if_not_exists=True)
