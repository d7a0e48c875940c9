"""Indexes of columns that 0029 and 0034 added, which these made at first, in their transactions; and names by their letters' code points."""

from __future__ import annotations

from alembic import op

from dynolab.hub.store.indexes import Index, make_missing

revision = "0031"
down_revision = "0034"
branch_labels = None
depends_on = None

ORDER = "created_at DESC, id, account_id"
"""The account last: of a project that is one account's alone, what others made is looked for in the index."""
INDEXES = (
    Index("ix_blob_unowned", "blob", "id", "account_id IS NULL"),
    *(
        Index(f"ix_{thing}_project_created", thing, f"in_project, {ORDER}", "in_project IS NOT NULL")
        for thing in ("model", "dataset", "job")
    ),
    Index("ix_job_project_device", "job", f"in_project, device_name, {ORDER}", "in_project IS NOT NULL"),
    Index(
        "ix_job_project_not_done", "job", f"in_project, state, {ORDER}", "in_project IS NOT NULL AND state <> 'done'"
    ),
)
CODE_POINTS = """
CREATE OR REPLACE FUNCTION dynolab_code_points(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT string_agg(lpad(to_hex(ascii(letter)), 5, '0'), '' ORDER BY place)
    FROM regexp_split_to_table(lower(name), '') WITH ORDINALITY AS letters (letter, place)
$$
"""
"""A name as five hexadecimal digits for each letter: what pg_trgm makes of letters depends on the database's locale, and of those
other than ASCII's it makes nothing in the locale C."""


def upgrade() -> None:
    """Forward."""
    make_missing(op.get_bind(), INDEXES)
    op.execute(CODE_POINTS)
