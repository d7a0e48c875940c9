"""Lists of a million jobs: each filter finds its newest rows by an index, and so do the jobs that others share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NEWEST: tuple[sa.TextClause, str] = (sa.text("created_at DESC"), "id")
TRIGRAMS = """DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX ix_job_text ON job USING gin (name gin_trgm_ops, id gin_trgm_ops);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
    RAISE NOTICE 'pg_trgm is not to be had: searching names will read all of an account''s jobs';
END $$"""
"""A trusted extension of PostgreSQL since 13: the database's owner may create it. A server without it does without."""


def upgrade() -> None:
    """Forward."""
    op.create_index("ix_job_account_device", "job", ["account_id", "device_name", *NEWEST])
    op.create_index("ix_job_model_newest", "job", ["model_id", "account_id", *NEWEST])
    op.drop_index("ix_job_model", "job")
    op.create_index("ix_job_not_done", "job", ["account_id", "state", *NEWEST], postgresql_where="state <> 'done'")
    op.create_index("ix_share_email", "share", ["email", "target_id"])
    op.execute(TRIGRAMS)
