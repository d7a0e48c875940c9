"""Lists, sweeps and heartbeats of a hub with millions of jobs and 100,000 devices: indexes that these need, and fewer writes.

Whoever has a large hub makes the new indexes before the update, with CREATE INDEX CONCURRENTLY and these names: those that are
there already are passed over (docs/scale.md has the statements).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

NEWEST: tuple[sa.TextClause, str] = (sa.text("created_at DESC"), "id")
LIVE = "state IN ('preparing', 'running')"
TRIGRAMS = """DO $$ BEGIN
    CREATE INDEX IF NOT EXISTS ix_{table}_text ON {table} USING gin (name gin_trgm_ops, id gin_trgm_ops);
EXCEPTION WHEN undefined_object THEN
    RAISE NOTICE 'pg_trgm is not to be had: searching names of {table}s will read all of an account''s';
END $$"""
"""Where the extension is: the migration 0008 created it, if that was allowed."""
KNOWN_ONLY = {
    "attempt": ("result_blob_id", "output_blob_id", "artifact_blob_id", "log_blob_id"),
    "job": ("result_blob_id", "artifact_blob_id"),
}
"""Columns that are NULL in most versions of a row: an index without those is a write less for each of them."""
SILENT_QUEUE = """
CREATE OR REPLACE FUNCTION dynolab_leave_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE OR REPLACE TRIGGER dynolab_leave_out BEFORE INSERT ON pgqueuer_log FOR EACH ROW EXECUTE FUNCTION dynolab_leave_out();
ALTER TABLE pgqueuer DISABLE TRIGGER tg_pgqueuer_changed;
"""
"""PgQueuer writes three rows with five index entries each for every job, and notifies with every entry that comes or goes. The hub
reads neither: attempts tell what became of a job, and the hub notifies by itself (see :mod:`dynolab.hub.scheduling.queue`)."""
SHARED_AT = """CREATE FUNCTION dynolab_shared_at() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
    NEW.target_at := COALESCE((SELECT created_at FROM job WHERE id = NEW.target_id), (SELECT created_at FROM model WHERE id = NEW.target_id),
                              (SELECT created_at FROM dataset WHERE id = NEW.target_id));
    RETURN NEW;
END'"""
"""Whoever shares something, an older replica too, has the sharing know when its target was made."""
UNUSED = ("pgqueuer_ep_ea_idx", "pgqueuer_priority_id_id1_idx", "pgqueuer_updated_id_id1_idx")
"""Of PgQueuer's own worker, which is not run here."""


def upgrade() -> None:
    """Forward."""
    _index("ix_job_kind", "job", ["account_id", "kind", *NEWEST], "kind <> 'profile'")
    _index("ix_job_project", "job", ["account_id", "project_id", *NEWEST], "project_id <> ''")
    _index("ix_job_deadline", "job", ["id"], f"deadline_s IS NOT NULL AND {LIVE}")
    for table in ("model", "dataset"):
        op.execute(TRIGRAMS.format(table=table))
    _index("ix_dataset_expires_at", "dataset", ["expires_at"], "deleted_at IS NULL")
    _index("ix_upload_created_at", "upload", ["created_at"])
    _index("ix_upload_account_open", "upload", ["account_id"], "completed_at IS NULL")
    _index("ix_token_account_id", "token", ["account_id"])
    _index("ix_device_token_id", "device", ["token_id"])
    _index("ix_device_pool_os", "device", ["pool_id", "os"])
    op.drop_index("ix_device_pool_id", "device", if_exists=True)
    _index("ix_device_name", "device", ["name", "id"])
    _attempts()
    for table, columns in KNOWN_ONLY.items():
        for column in columns:
            op.drop_index(f"ix_{table}_{column}", table, if_exists=True)
            _index(f"ix_{table}_{column}_known", table, [column], f"{column} IS NOT NULL")
    for old, new, column in (
        ("dataset", "dataset_known", "dataset_id"),
        ("output_dataset", "output_known", "output_dataset_id"),
    ):
        op.drop_index(f"ix_job_{old}", "job", if_exists=True)
        _index(f"ix_job_{new}", "job", [column], f"{column} IS NOT NULL")
    op.add_column("device", sa.Column("said", sa.Text()))
    _shares()
    _queue()


def _shares() -> None:
    op.add_column("share", sa.Column("target_at", sa.DateTime(timezone=True)))
    op.execute(SHARED_AT)
    op.execute(
        "CREATE TRIGGER dynolab_shared_at BEFORE INSERT ON share FOR EACH ROW WHEN (NEW.target_at IS NULL) "
        "EXECUTE FUNCTION dynolab_shared_at()"
    )
    for table in ("job", "model", "dataset"):
        op.execute(f"UPDATE share SET target_at = {table}.created_at FROM {table} WHERE {table}.id = share.target_id")
    letter, newest = sa.text('"left"(target_id, 1)'), sa.text("target_at DESC")
    op.create_index("ix_share_newest", "share", ["email", letter, newest, "target_id"])


def _attempts() -> None:
    """The sweeps of leases and deadlines find the attempts that run by what no heartbeat changes.

    So a heartbeat writes the row, and no index of it (heap-only tuples); pages keep some room for that.
    """
    op.drop_index("ix_attempt_running", "attempt", if_exists=True)
    _index("ix_attempt_running_since", "attempt", ["started_at"], "state = 'running'")
    _index("ix_attempt_set_back", "attempt", ["started_at"], "state = 'running' AND away_s < 0")
    op.execute("ALTER TABLE attempt SET (fillfactor = 80)")
    op.execute("ALTER TABLE device SET (fillfactor = 80)")


def _queue() -> None:
    for statement in filter(str.strip, SILENT_QUEUE.split(";\n")):
        op.execute(statement)
    op.execute("TRUNCATE pgqueuer_log")
    for name in UNUSED:
        op.execute(f"DROP INDEX IF EXISTS {name}")


def _index(name: str, table: str, columns: list[str | sa.TextClause], where: str | None = None) -> None:
    op.create_index(
        name, table, columns, postgresql_where=None if where is None else sa.text(where), if_not_exists=True
    )
