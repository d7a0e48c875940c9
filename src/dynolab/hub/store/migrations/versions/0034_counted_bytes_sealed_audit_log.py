"""Whose bytes a blob's are, counted by the database itself; and seals of the audit log's rows, by which what is altered is found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

COUNT = """
CREATE FUNCTION dynolab_count_bytes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.account_id IS NOT NULL THEN
        INSERT INTO stored_bytes (account_id, in_project, bytes) VALUES (OLD.account_id, OLD.in_project, -OLD.bytes);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.account_id IS NOT NULL THEN
        INSERT INTO stored_bytes (account_id, in_project, bytes) VALUES (NEW.account_id, NEW.in_project, NEW.bytes);
    END IF;
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER dynolab_count_bytes AFTER INSERT OR DELETE OR UPDATE OF account_id, in_project, bytes ON blob
FOR EACH ROW EXECUTE FUNCTION dynolab_count_bytes()
"""


def upgrade() -> None:
    """Forward. A sweep finds out later whose the blobs are that there are, and those that older replicas make meanwhile; their index is 0031's."""
    _stored_bytes()
    op.create_table(
        "audit_seal",
        sa.Column("upto", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("upto", name=op.f("pk_audit_seal")),
    )


def _stored_bytes() -> None:
    op.create_table(
        "stored_bytes",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("in_project", sa.Text(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_bytes")),
    )
    op.create_index("ix_stored_bytes_account", "stored_bytes", ["account_id"])
    there = sa.text("in_project IS NOT NULL")
    op.create_index("ix_stored_bytes_project", "stored_bytes", ["in_project"], postgresql_where=there)
    op.execute("ALTER TABLE blob ADD COLUMN IF NOT EXISTS account_id BIGINT, ADD COLUMN IF NOT EXISTS in_project TEXT")
    op.execute(COUNT)
    op.execute(TRIGGER)
