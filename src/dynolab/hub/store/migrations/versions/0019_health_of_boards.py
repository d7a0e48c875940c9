"""Boards have a health of their own, told by probes whose history is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    texts = {"health": "good", "health_why": "", "health_by": "", "drift": ""}
    for name, value in texts.items():
        op.add_column("device", sa.Column(name, sa.Text(), nullable=False, server_default=value))
    for name in ("bad_probes", "good_probes"):
        op.add_column("device", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    for name in ("health_since", "learns_from", "rests_until"):
        op.add_column("device", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(op.f("device_health"), "device", "health IN ('good', 'probation', 'quarantined')")
    op.create_table(
        "probe",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("figures", JSONB(), nullable=False),
        sa.Column("cores", sa.Integer(), nullable=False),
        sa.Column("others_share", sa.Float(), nullable=True),
        sa.Column("celsius", sa.Float(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_probe")),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_probe_device_id_device"), ondelete="CASCADE"
        ),
        sa.CheckConstraint("verdict IN ('learning', 'good', 'slow', 'disturbed')", name=op.f("probe_verdict")),
    )
    op.create_index("ix_probe_device_at", "probe", ["device_id", sa.text("at DESC")])
