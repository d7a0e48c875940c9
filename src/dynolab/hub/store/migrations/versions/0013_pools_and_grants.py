"""Devices belong to pools with an owner, attempts to the token that claimed them, and shares tell who granted them and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Every account keeps the devices that its agents announced; the administrator's stay open to all."""
    op.add_column("account", sa.Column("is_admin", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("UPDATE account SET is_admin = true WHERE email = 'admin@localhost'")
    _make_tables()
    op.add_column("device", sa.Column("pool_id", sa.Text(), nullable=True))
    op.create_foreign_key(op.f("fk_device_pool_id"), "device", "pool", ["pool_id"], ["id"])
    op.create_index("ix_device_pool_id", "device", ["pool_id"])
    op.add_column("device", sa.Column("is_confined", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("job", sa.Column("pool_id", sa.Text(), nullable=True))
    op.create_foreign_key(op.f("fk_job_pool_id"), "job", "pool", ["pool_id"], ["id"])
    op.add_column("attempt", sa.Column("token_id", sa.Text(), nullable=True))
    op.create_foreign_key(op.f("fk_attempt_token_id"), "attempt", "token", ["token_id"], ["id"])
    _fill_pools()
    op.drop_index("ix_job_queued", "job")
    op.create_index(
        "ix_job_queued",
        "job",
        ["pool_id", "device_os", "account_id"],
        postgresql_where=sa.text("state = 'queued'"),
    )
    _change_shares()


def _make_tables() -> None:
    def instant(name: str) -> sa.Column[object]:
        return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)

    op.create_table(
        "pool",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), server_default=sa.false(), nullable=False),
        instant("created_at"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_pool_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pool")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_pool_account_id_name")),
    )
    op.create_table(
        "pool_grant",
        sa.Column("pool_id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.BigInteger(), nullable=False),
        instant("granted_at"),
        sa.CheckConstraint("what IN ('send', 'join')", name="pool_grant_what"),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_pool_grant_pool_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["granted_by"], ["account.id"], name=op.f("fk_pool_grant_granted_by")),
        sa.PrimaryKeyConstraint("pool_id", "email", "what", name=op.f("pk_pool_grant")),
    )
    op.create_index("ix_pool_grant_email", "pool_grant", ["email", "pool_id"])
    op.create_table(
        "trust",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        instant("trusted_at"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_trust_account_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["account.id"], name=op.f("fk_trust_owner_id")),
        sa.PrimaryKeyConstraint("account_id", "owner_id", name=op.f("pk_trust")),
    )
    op.create_index("ix_trust_owner_id", "trust", ["owner_id"])


def _fill_pools() -> None:
    """Devices keep their owner. A job that waits or runs goes on in its owner's pool of that name, else an administrator's."""
    op.execute(
        "INSERT INTO pool (id, account_id, name, is_open) "
        "SELECT 'p' || substr(md5(random()::text || device.name || account.id), 1, 12), account.id, device.name, account.is_admin "
        "FROM (SELECT DISTINCT name, token_id FROM device) AS device "
        "JOIN token ON token.id = device.token_id JOIN account ON account.id = token.account_id "
        "ON CONFLICT DO NOTHING"
    )
    op.execute(
        "UPDATE device SET pool_id = pool.id FROM token, pool "
        "WHERE token.id = device.token_id AND pool.account_id = token.account_id AND pool.name = device.name"
    )
    op.execute(
        "UPDATE attempt SET token_id = device.token_id FROM device "
        "WHERE device.id = attempt.device_id AND attempt.state = 'running'"
    )
    op.execute(
        "UPDATE job SET pool_id = (SELECT pool.id FROM pool JOIN account ON account.id = pool.account_id "
        "WHERE pool.name = job.device_name "
        "ORDER BY pool.account_id = job.account_id DESC, account.is_admin DESC, pool.created_at LIMIT 1) "
        "WHERE job.state IN ('queued', 'preparing', 'running')"
    )
    op.execute(
        "UPDATE pgqueuer SET entrypoint = 'pool:' || job.pool_id || '|' || job.device_os FROM job "
        "WHERE job.id = convert_from(pgqueuer.payload, 'UTF8') AND job.pool_id IS NOT NULL"
    )


def _change_shares() -> None:
    """What is shared by now counts as shared by its owner for itself."""
    op.add_column("share", sa.Column("via", sa.Text(), server_default="", nullable=False))
    op.add_column("share", sa.Column("granted_by", sa.BigInteger(), nullable=True))
    op.add_column(
        "share", sa.Column("granted_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)
    )
    for table in ("job", "model", "dataset"):
        op.execute(f"UPDATE share SET granted_by = {table}.account_id FROM {table} WHERE {table}.id = share.target_id")
    op.execute("DELETE FROM share WHERE granted_by IS NULL")
    op.alter_column("share", "granted_by", nullable=False)
    op.create_foreign_key(op.f("fk_share_granted_by"), "share", "account", ["granted_by"], ["id"])
    op.drop_constraint("pk_share", "share", type_="primary")
    op.create_primary_key("pk_share", "share", ["target_id", "email", "via"])
    op.create_index("ix_share_via", "share", ["via"], postgresql_where=sa.text("via <> ''"))
