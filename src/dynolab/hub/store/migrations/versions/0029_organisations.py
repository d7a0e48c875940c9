"""Organisations with members and projects; what belongs to a project, quotas, retention, and for how long devices were held."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

THINGS = ("model", "dataset", "job")


def upgrade() -> None:
    """Forward. New columns are NULL or have a constant default, so that no table is written anew; their indexes are 0031's."""
    _organisations()
    _members()
    for name, kind in (("most_bytes", sa.BigInteger), ("most_jobs", sa.Integer), ("most_minutes", sa.Integer)):
        op.add_column("account", sa.Column(name, kind(), nullable=True))
    op.add_column("account", sa.Column("kept_days", sa.Integer(), nullable=True))
    # In one statement with its column, a foreign key needs no look at the rows that are there.
    for table, column, to in (
        *((thing, "in_project", "project (id)") for thing in THINGS),
        ("token", "project_id", "project (id) ON DELETE CASCADE"),
        ("session", "project_id", "project (id) ON DELETE SET NULL"),
        ("pool", "organisation_id", "organisation (id) ON DELETE SET NULL"),
    ):
        key = op.f(f"fk_{table}_{column}")
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT CONSTRAINT {key} REFERENCES {to}")
    for table, column in (("token", "project_id"), ("pool", "organisation_id")):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_{table}_{column}", table, [column], postgresql_where=there)
    op.add_column("job", sa.Column("is_pinned", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("job", sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True))
    _device_use()


def _organisations() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        sa.UniqueConstraint("name", name=op.f("uq_organisation_name")),
    )
    op.create_table(
        "project",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("most_bytes", sa.BigInteger(), nullable=True),
        sa.Column("most_jobs", sa.Integer(), nullable=True),
        sa.Column("most_minutes", sa.Integer(), nullable=True),
        sa.Column("kept_days", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_project_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("organisation_id", "name", name=op.f("uq_project_organisation_id_name")),
    )


def _places(table: str) -> tuple[sa.Column[object], sa.Column[object], sa.Constraint, sa.Constraint]:
    return (
        sa.Column("organisation_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f(f"fk_{table}_organisation_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f(f"fk_{table}_project_id"), ondelete="CASCADE"
        ),
    )


def _members() -> None:
    op.create_table(
        "member",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        *_places("member"),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'member', 'admin', 'owner')", name="member_role"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_member_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
    )
    there = sa.text("project_id IS NOT NULL")
    op.create_index("ix_member_project_id", "member", ["project_id"], postgresql_where=there)
    op.create_index("ix_member_organisation_id", "member", ["organisation_id"])
    place = [sa.text(one) for one in ("account_id", "organisation_id", "coalesce(project_id, '')")]
    op.create_index("uq_member_account_place", "member", place, unique=True)
    op.create_table(
        "member_link",
        sa.Column("digest", sa.Text(), nullable=False),
        *_places("member_link"),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("made_by", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'member', 'admin')", name="member_link_role"),
        sa.ForeignKeyConstraint(["made_by"], ["account.id"], name=op.f("fk_member_link_made_by")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_member_link")),
    )
    op.create_index("ix_member_link_organisation_id", "member_link", ["organisation_id"])


def _device_use() -> None:
    op.create_table(
        "device_use",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("in_project", sa.Text(), nullable=True),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_device_use_account_id")),
        sa.ForeignKeyConstraint(
            ["in_project"], ["project.id"], name=op.f("fk_device_use_in_project"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_use")),
    )
    op.create_index("ix_device_use_account", "device_use", ["account_id", "month"])
    there = sa.text("in_project IS NOT NULL")
    op.create_index("ix_device_use_project", "device_use", ["in_project", "month"], postgresql_where=there)
