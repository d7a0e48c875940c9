"""Sessions by what the provider calls its own, a column that 0035 added; and the audit log by who, verb and outcome, the newest first."""

from __future__ import annotations

from alembic import op

from dynolab.hub.store.indexes import Index, make_missing

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

INDEXES = (
    Index("ix_session_provider_session", "session", "provider_session", "provider_session IS NOT NULL"),
    Index("ix_audit_who", "audit", "who, at DESC, id DESC"),
    Index("ix_audit_verb", "audit", "verb, at DESC, id DESC"),
    Index("ix_audit_who_verb", "audit", "who, verb, at DESC, id DESC"),
    Index("ix_audit_refused", "audit", "at DESC, id DESC", "outcome = 'refused'"),
)


def upgrade() -> None:
    """Forward."""
    make_missing(op.get_bind(), INDEXES)
