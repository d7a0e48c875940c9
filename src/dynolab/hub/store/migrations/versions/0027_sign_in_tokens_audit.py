"""People whom a provider knows; scopes, end and rotation of tokens; the audit log, which nobody changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0025"
branch_labels = None
depends_on = None

KEEP = """
CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at < now() - interval '30 days' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'the audit log keeps what is younger than 30 days';
    END IF;
    RAISE EXCEPTION 'the audit log is only added to';
END $$
"""
ROWS = "CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_kept()"
ALL = "CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept()"


def upgrade() -> None:
    """Forward. Tokens that there are name no scopes, so they may do all that they could, and do not end."""
    _tokens()
    _identities()
    _audit()


def _tokens() -> None:
    op.add_column("token", sa.Column("scopes", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("token", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("token", sa.Column("made_by", sa.Text(), server_default="", nullable=False))
    op.add_column("token", sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("token", sa.Column("previous_digest", sa.Text(), nullable=True))
    op.add_column("token", sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True))
    op.create_unique_constraint(op.f("uq_token_previous_digest"), "token", ["previous_digest"])


def _identities() -> None:
    op.create_table(
        "identity",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("gave_admin", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_identity_account_id")),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_identity")),
    )
    op.create_index("ix_identity_account_id", "identity", ["account_id"])
    op.drop_constraint("session_way", "session", type_="check")
    op.create_check_constraint("session_way", "session", "way IN ('token', 'password', 'link', 'oidc')")


def _audit() -> None:
    texts = ("who", "kind", "thing", "door", "address", "token_id", "session_id")
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), server_default="ok", nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        *(sa.Column(name, sa.Text(), server_default="", nullable=False) for name in texts),
        sa.Column("details", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.CheckConstraint("outcome IN ('ok', 'refused')", name="audit_outcome"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_at", "audit", [sa.text("at DESC"), sa.text("id DESC")])
    op.create_index("ix_audit_account_id_at", "audit", ["account_id", sa.text("at DESC")])
    op.create_index("ix_audit_thing", "audit", ["thing"])
    for statement in (KEEP, ROWS, ALL):
        op.execute(statement)
