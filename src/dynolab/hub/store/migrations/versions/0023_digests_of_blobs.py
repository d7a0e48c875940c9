"""What the hub saw of the bytes as they came: their digests, which ``dynolab hub check --digests`` compares."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0023"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Columns that may be empty are added without a look at the rows."""
    op.add_column("blob", sa.Column("digests", ARRAY(sa.Text()), nullable=True))
    op.add_column("upload_part", sa.Column("sha256", sa.Text(), nullable=True))
