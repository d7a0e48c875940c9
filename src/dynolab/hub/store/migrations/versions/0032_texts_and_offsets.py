"""Names with other letters than ASCII's are found by an index; rows of jobs that are passed over are read off the index alone."""

from __future__ import annotations

from alembic import op

from dynolab.hub.store.indexes import Index, make_missing

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

INDEXES = (
    Index("ix_job_account_newest", "job", "account_id, created_at DESC, id", include="in_project"),
    *(
        Index(
            f"ix_{table}_code_points",
            table,
            "dynolab_code_points(name) gin_trgm_ops",
            "octet_length(name) <> char_length(name)",
            using="gin",
        )
        for table in ("job", "model", "dataset")
    ),
)


def upgrade() -> None:
    """Forward."""
    make_missing(op.get_bind(), INDEXES)
    op.drop_index("ix_job_account_created", "job", if_exists=True)
