"""The bytes of blobs that were there before 0037 began to count."""

from __future__ import annotations

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

ADD_MISSING = (
    "INSERT INTO total_bytes (bytes)"
    " SELECT (SELECT coalesce(sum(bytes), 0) FROM blob) - (SELECT coalesce(sum(bytes), 0) FROM total_bytes)"
)


def upgrade() -> None:
    """Forward. One statement sees blobs and count as they are at one instant; whoever writes meanwhile counts for himself, and waits for nothing."""
    op.execute(ADD_MISSING)
