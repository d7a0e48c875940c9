"""How many bytes all blobs have together, counted by the database itself with each statement that makes or removes some."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

COUNT = """
CREATE FUNCTION dynolab_count_total() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change BIGINT := 0;
BEGIN
    IF TG_OP <> 'DELETE' THEN
        SELECT coalesce(sum(bytes), 0) INTO change FROM come;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        SELECT change - coalesce(sum(bytes), 0) INTO change FROM gone;
    END IF;
    IF change <> 0 THEN
        UPDATE total_bytes SET bytes = bytes + change
        WHERE id = (SELECT id FROM total_bytes LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED);
        IF NOT FOUND THEN
            INSERT INTO total_bytes (bytes) VALUES (change);
        END IF;
    END IF;
    RETURN NULL;
END $$
"""
"""A row that no other transaction has in hand is changed, or one more is made: nobody waits for another, and there are as many rows as
transactions were at it at once. A statement counts once, however many blobs it is about."""
TABLES = {"INSERT": "NEW TABLE AS come", "DELETE": "OLD TABLE AS gone", "UPDATE": "OLD TABLE AS gone NEW TABLE AS come"}


def upgrade() -> None:
    """Forward. From here on what comes and goes is counted, by older replicas too; 0038 adds what there is."""
    op.create_table(
        "total_bytes",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_total_bytes")),
    )
    op.execute(
        "ALTER TABLE total_bytes SET (fillfactor = 10)"
    )  # room for the versions of rows that change all the time
    op.execute(COUNT)
    for act, tables in TABLES.items():
        op.execute(
            f"CREATE TRIGGER dynolab_count_total_{act.lower()} AFTER {act} ON blob REFERENCING {tables}"
            " FOR EACH STATEMENT EXECUTE FUNCTION dynolab_count_total()"
        )
