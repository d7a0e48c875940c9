"""Lists, sweeps and heartbeats of a hub with millions of jobs and 100,000 devices: indexes that these need, and fewer writes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from dynolab.hub.store.indexes import Index, make_missing

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

LIVE = "state IN ('preparing', 'running')"
KNOWN_ONLY = {
    "attempt": ("result_blob_id", "output_blob_id", "artifact_blob_id", "log_blob_id"),
    "job": ("result_blob_id", "artifact_blob_id"),
}
"""Columns that are NULL in most versions of a row: an index without those is a write less for each of them."""
RENAMED = (("dataset", "dataset_known", "dataset_id"), ("output_dataset", "output_known", "output_dataset_id"))
INDEXES = (
    Index("ix_job_kind", "job", "account_id, kind, created_at DESC, id", "kind <> 'profile'"),
    Index("ix_job_project", "job", "account_id, project_id, created_at DESC, id", "project_id <> ''"),
    Index("ix_job_deadline", "job", "id", f"deadline_s IS NOT NULL AND {LIVE}"),
    *(
        Index(f"ix_{table}_text", table, "name gin_trgm_ops, id gin_trgm_ops", using="gin")
        for table in ("model", "dataset")
    ),
    Index("ix_dataset_expires_at", "dataset", "expires_at", "deleted_at IS NULL"),
    Index("ix_upload_created_at", "upload", "created_at"),
    Index("ix_upload_account_open", "upload", "account_id", "completed_at IS NULL"),
    Index("ix_token_account_id", "token", "account_id"),
    Index("ix_device_token_id", "device", "token_id"),
    Index("ix_device_pool_os", "device", "pool_id, os"),
    Index("ix_device_name", "device", "name, id"),
    Index("ix_attempt_running_since", "attempt", "started_at", "state = 'running'"),
    Index("ix_attempt_set_back", "attempt", "started_at", "state = 'running' AND away_s < 0"),
    *(
        Index(f"ix_{table}_{column}_known", table, column, f"{column} IS NOT NULL")
        for table, columns in KNOWN_ONLY.items()
        for column in columns
    ),
    *(Index(f"ix_job_{new}", "job", column, f"{column} IS NOT NULL") for _, new, column in RENAMED),
)
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
    make_missing(op.get_bind(), INDEXES)
    op.drop_index("ix_device_pool_id", "device", if_exists=True)
    _attempts()
    for table, columns in KNOWN_ONLY.items():
        for column in columns:
            op.drop_index(f"ix_{table}_{column}", table, if_exists=True)
    for old, _, _ in RENAMED:
        op.drop_index(f"ix_job_{old}", "job", if_exists=True)
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
    op.execute("ALTER TABLE attempt SET (fillfactor = 80)")
    op.execute("ALTER TABLE device SET (fillfactor = 80)")


def _queue() -> None:
    for statement in filter(str.strip, SILENT_QUEUE.split(";\n")):
        op.execute(statement)
    op.execute("TRUNCATE pgqueuer_log")
    for name in UNUSED:
        op.execute(f"DROP INDEX IF EXISTS {name}")
