"""Sessions by what the provider calls its own: an index of a column that 0035 added."""

from __future__ import annotations

from alembic import op

from dynolab.hub.store.indexes import Index, make_missing

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

INDEXES = (Index("ix_session_provider_session", "session", "provider_session", "provider_session IS NOT NULL"),)


def upgrade() -> None:
    """Forward."""
    make_missing(op.get_bind(), INDEXES)
