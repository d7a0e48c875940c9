"""Models are found by their name: the list of jobs is filtered by it, and trends are of a name."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_index("ix_model_name", "model", ["name"])
