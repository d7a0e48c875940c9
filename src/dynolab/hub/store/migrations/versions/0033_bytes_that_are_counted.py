"""Blobs whose bytes the hub has not read yet are found at once."""

from __future__ import annotations

from alembic import op

from dynolab.hub.store.indexes import Index, make_missing

revision = "0033"
down_revision = "0030"
branch_labels = None
depends_on = None

UNREAD = "(digests IS NULL OR array_position(digests, NULL) IS NOT NULL)"
INDEXES = (Index("ix_blob_unread", "blob", "id", UNREAD),)


def upgrade() -> None:
    """Forward."""
    make_missing(op.get_bind(), INDEXES)
