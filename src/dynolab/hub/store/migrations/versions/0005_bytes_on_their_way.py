"""How much of an upload has come that did not tell its size: it counts against the bound of all bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("upload", sa.Column("come_bytes", sa.BigInteger(), server_default="0", nullable=False))
