"""The hub's tables. Instants are UTC; ids of jobs, models and datasets are opaque, ``j``, ``m`` or ``d`` first."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _instant(name: str, *, known: bool = False) -> sa.Column[object]:
    """An instant in UTC; ``known``: set by the database when the row is made."""
    if known:
        return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
    return sa.Column(name, sa.DateTime(timezone=True))


def _blob(name: str, *, index: bool = True) -> sa.Column[object]:
    """A reference to a blob; what nobody refers to is swept, so asking who refers to one must be quick."""
    return sa.Column(name, sa.Text, sa.ForeignKey("blob.id"), index=index)


def _index_known(table: sa.Table, *columns: str) -> None:
    """Indexes of references that most versions of a row leave open: those are no write for them."""
    for name in columns:
        column = table.c[name]
        sa.Index(f"ix_{table.name}_{name}_known", column, postgresql_where=column.is_not(None))


def _index_names(table: sa.Table) -> None:
    """Indexes of all parts of names and ids, by pg_trgm: it knows of ASCII's letters alone, and of the others by their code points."""
    ops = {"name": "gin_trgm_ops", "id": "gin_trgm_ops"}
    sa.Index(f"ix_{table.name}_text", table.c.name, table.c.id, postgresql_using="gin", postgresql_ops=ops)
    points = sa.func.dynolab_code_points(table.c.name).label("points")
    odd = sa.func.octet_length(table.c.name) != sa.func.char_length(table.c.name)
    ops, name = {"points": "gin_trgm_ops"}, f"ix_{table.name}_code_points"
    sa.Index(name, points, postgresql_using="gin", postgresql_ops=ops, postgresql_where=odd)


def _owner() -> sa.Column[object]:
    return sa.Column("account_id", sa.BigInteger, sa.ForeignKey("account.id"), nullable=False)


def _in_project() -> sa.Column[object]:
    """The project that a thing belongs to; None: its account's personal space. ``project_id`` beside it is what clients are told."""
    return sa.Column("in_project", sa.Text, sa.ForeignKey("project.id"))


def _limits() -> tuple[sa.Column[object], ...]:
    """Of a project, or of an account's personal space; None: as the hub's settings say."""
    return (
        sa.Column("most_bytes", sa.BigInteger),
        sa.Column("most_jobs", sa.Integer),
        sa.Column("most_minutes", sa.Integer),
        sa.Column("kept_days", sa.Integer),
    )


setting = sa.Table(
    "setting",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
"""What all replicas share, such as the secret that signs file addresses."""

account = sa.Table(
    "account",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    sa.Column("password_hash", sa.Text),
    sa.Column("is_admin", sa.Boolean, nullable=False, server_default=sa.false()),
    _instant("created_at", known=True),
    _instant("closed_at"),
    *_limits(),
)
"""``is_admin``: runs the hub, and so is trusted by all and may change every pool (see :data:`pool`). ``closed_at``: nothing lets it in since then. ``password_hash`` is None where nobody signs in by password (see :mod:`dynolab.hub.usecases.set_password`)."""

organisation = sa.Table(
    "organisation",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    _instant("created_at", known=True),
)
"""People who work together: its members see its projects (see :mod:`dynolab.hub.usecases.policy`)."""

project = sa.Table(
    "project",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("organisation_id", sa.Text, sa.ForeignKey("organisation.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    _instant("created_at", known=True),
    *_limits(),
    sa.UniqueConstraint("organisation_id", "name"),
)
"""Where an organisation's models, datasets and jobs are; ``ORGANISATION.PROJECT`` is what people call it.

``most_bytes``, ``most_jobs`` and ``most_minutes`` are its quotas (see :mod:`dynolab.hub.usecases.quotas`), ``kept_days`` its
retention (see :mod:`dynolab.hub.usecases.sweep_retention`)."""

member = sa.Table(
    "member",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("organisation_id", sa.Text, sa.ForeignKey("organisation.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", sa.Text, sa.ForeignKey("project.id", ondelete="CASCADE")),
    sa.Column("account_id", sa.BigInteger, sa.ForeignKey("account.id"), nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    _instant("added_at", known=True),
    sa.CheckConstraint("role IN ('viewer', 'member', 'admin', 'owner')", name="member_role"),
)
"""What an account is in all projects of an organisation, or in one (``project_id``). Of several roles the highest counts."""
sa.Index("ix_member_project_id", member.c.project_id, postgresql_where=member.c.project_id.is_not(None))
sa.Index("ix_member_organisation_id", member.c.organisation_id)
sa.Index(
    "uq_member_account_place",
    member.c.account_id,
    member.c.organisation_id,
    sa.func.coalesce(member.c.project_id, sa.literal_column("''")),
    unique=True,
)

member_link = sa.Table(
    "member_link",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("organisation_id", sa.Text, sa.ForeignKey("organisation.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", sa.Text, sa.ForeignKey("project.id", ondelete="CASCADE")),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("made_by", sa.BigInteger, sa.ForeignKey("account.id"), nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("role IN ('viewer', 'member', 'admin')", name="member_link_role"),
)
"""A link that makes whoever is signed in and follows it a member, once."""
sa.Index("ix_member_link_organisation_id", member_link.c.organisation_id)

token = sa.Table(
    "token",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _owner(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("label", sa.Text, nullable=False, server_default=""),
    _instant("created_at", known=True),
    _instant("revoked_at"),
    _instant("used_at"),
    sa.Column("by_password", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("scopes", ARRAY(sa.Text), nullable=False, server_default="{}"),
    _instant("expires_at"),
    sa.Column("made_by", sa.Text, nullable=False, server_default=""),
    _instant("rotated_at"),
    sa.Column("previous_digest", sa.Text, unique=True),
    _instant("previous_until"),
    sa.Column("project_id", sa.Text, sa.ForeignKey("project.id", ondelete="CASCADE")),
    sa.CheckConstraint("kind IN ('user', 'agent')", name="token_kind"),
)
"""Only digests are kept. A token opens either the users' doors or the agents', never both. ``used_at`` is when it was last
seen to be used, to five minutes; ``by_password``: a client fetched it by signing in (see :mod:`dynolab.hub.usecases.log_in`).
``scopes`` are those of :mod:`dynolab.hub.usecases.scopes`, none means all of its kind; without ``expires_at`` it does not end by itself. One that was rotated has
another secret since ``rotated_at``, and the one before is good until ``previous_until``. ``made_by``: the way it came, in a word.
``project_id``: it works in that project alone, and changes nothing of the account."""
sa.Index("ix_token_project_id", token.c.project_id, postgresql_where=token.c.project_id.is_not(None))
sa.Index("ix_token_account_id", token.c.account_id)

session = sa.Table(
    "session",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account_id", sa.BigInteger, sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("token_id", sa.Text, sa.ForeignKey("token.id", ondelete="CASCADE"), index=True),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("way", sa.Text, nullable=False),
    sa.Column("browser", sa.Text, nullable=False, server_default=""),
    _instant("created_at", known=True),
    _instant("seen_at", known=True),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("project_id", sa.Text, sa.ForeignKey("project.id", ondelete="SET NULL")),
    sa.Column("provider_session", sa.Text),
    sa.CheckConstraint("way IN ('token', 'password', 'link', 'oidc')", name="session_way"),
)
"""A browser that is signed in, by which ``way``; by a token: ``token_id``, with which it ends. One that has ended has no row.
Its cookie's digest is kept, as a token's is; ``browser`` is its name and its system's. ``project_id``: the project that it looks at now; None: all.
``provider_session``: what the OpenID Connect provider calls its own session (``sid``), with which this one ends; None: it did not say."""
sa.Index(
    "ix_session_provider_session", session.c.provider_session, postgresql_where=session.c.provider_session.is_not(None)
)

logout_token = sa.Table(
    "logout_token",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
)
"""Logout tokens that an OpenID Connect provider sent (their ids' digests): one that comes again before ``expires_at`` does nothing."""

identity = sa.Table(
    "identity",
    metadata,
    sa.Column("issuer", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("account_id", sa.BigInteger, sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("gave_admin", sa.Boolean, nullable=False, server_default=sa.false()),
    _instant("created_at", known=True),
    _instant("seen_at", known=True),
)
"""Who somebody is to an OpenID Connect provider: its ``issuer`` and, there, the ``subject``, whatever the e-mail address becomes.
``gave_admin``: that the account runs the hub came of a group there, and ends with that."""

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    _instant("at", known=True),
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False, server_default="ok"),
    sa.Column("account_id", sa.BigInteger),
    sa.Column("who", sa.Text, nullable=False, server_default=""),
    sa.Column("kind", sa.Text, nullable=False, server_default=""),
    sa.Column("thing", sa.Text, nullable=False, server_default=""),
    sa.Column("door", sa.Text, nullable=False, server_default=""),
    sa.Column("address", sa.Text, nullable=False, server_default=""),
    sa.Column("token_id", sa.Text, nullable=False, server_default=""),
    sa.Column("session_id", sa.Text, nullable=False, server_default=""),
    sa.Column("details", JSONB, nullable=False, server_default="{}"),
    sa.CheckConstraint("outcome IN ('ok', 'refused')", name="audit_outcome"),
)
"""Who did what, to which thing (``kind`` and its id), from where and with what; written with the act, in its transaction. ``who`` is an
e-mail address as it was then, or ``operator`` for a command. Nothing refers to other tables: a row outlives what it is about.
A trigger refuses changes, and removals within 30 days (migration 0027)."""
sa.Index("ix_audit_at", audit.c.at.desc(), audit.c.id.desc())
sa.Index("ix_audit_account_id_at", audit.c.account_id, audit.c.at.desc())
sa.Index("ix_audit_thing", audit.c.thing)
for _name, _filters in (("who", ["who"]), ("verb", ["verb"]), ("who_verb", ["who", "verb"])):
    sa.Index(f"ix_audit_{_name}", *(audit.c[one] for one in _filters), audit.c.at.desc(), audit.c.id.desc())
sa.Index("ix_audit_refused", audit.c.at.desc(), audit.c.id.desc(), postgresql_where=audit.c.outcome == "refused")

audit_seal = sa.Table(
    "audit_seal",
    metadata,
    sa.Column("upto", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("chain", sa.Text, nullable=False),
    _instant("sealed_at", known=True),
)
"""What the rows of the audit log were, from the one after the last seal to the id ``upto``, once they were an hour old: how many, and
their SHA-256 digest; ``chain`` is that of the last seal's chain and this digest (see :mod:`dynolab.hub.store.audit_digest`)."""

invitation = sa.Table(
    "invitation",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    _owner(),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
)
"""A link that signs in as the account, once: who follows it takes the row away."""

join_token = sa.Table(
    "join_token",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _owner(),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False, server_default=""),
    sa.Column("token_id", sa.Text, sa.ForeignKey("token.id", ondelete="CASCADE")),
    _instant("created_at", known=True),
    _instant("used_at"),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
)
"""What a machine becomes a device with, once: the agent's token that came of it is ``token_id``. Only its digest is kept; a
while after its end the row is swept. ``name``: of the device, where whoever made it gave one."""
sa.Index("ix_join_token_account_id", join_token.c.account_id)

pool = sa.Table(
    "pool",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _owner(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False, server_default=sa.false()),
    _instant("created_at", known=True),
    sa.Column("organisation_id", sa.Text, sa.ForeignKey("organisation.id", ondelete="SET NULL")),
    sa.UniqueConstraint("account_id", "name"),
)
"""The devices of one name that one account answers for. Jobs go to a pool, and its devices receive their models.

``is_open``: everybody with an account may send jobs to it. Whose models it receives is for their owners to say (:data:`trust`).
``organisation_id``: the jobs of that organisation's projects may go to it, and its admins may change it as its owner may."""
sa.Index("ix_pool_organisation_id", pool.c.organisation_id, postgresql_where=pool.c.organisation_id.is_not(None))

pool_grant = sa.Table(
    "pool_grant",
    metadata,
    sa.Column("pool_id", sa.Text, sa.ForeignKey("pool.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("email", sa.Text, primary_key=True),
    sa.Column("what", sa.Text, primary_key=True),
    sa.Column("granted_by", sa.BigInteger, sa.ForeignKey("account.id"), nullable=False),
    _instant("granted_at", known=True),
    sa.CheckConstraint("what IN ('send', 'join')", name="pool_grant_what"),
)
"""Whom the owner of a pool, or an administrator, lets ``send`` jobs to it, or ``join`` it with devices, which then see those jobs."""
sa.Index("ix_pool_grant_email", pool_grant.c.email, pool_grant.c.pool_id)

trust = sa.Table(
    "trust",
    metadata,
    sa.Column("account_id", sa.BigInteger, sa.ForeignKey("account.id"), primary_key=True),
    sa.Column("owner_id", sa.BigInteger, sa.ForeignKey("account.id"), primary_key=True, index=True),
    _instant("trusted_at", known=True),
)
"""Whose pools may receive an account's models, besides its own and the administrators'."""

device = sa.Table(
    "device",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("token_id", sa.Text, sa.ForeignKey("token.id"), nullable=False),
    sa.Column("pool_id", sa.Text, sa.ForeignKey("pool.id")),
    sa.Column("is_confined", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("os", sa.Text, nullable=False),
    sa.Column("attributes", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    sa.Column("frameworks", JSONB, nullable=False, server_default="[]"),
    sa.Column("attempt_id", UUID(as_uuid=True)),
    sa.Column("unfit", sa.Text, nullable=False, server_default=""),
    sa.Column("health", sa.Text, nullable=False, server_default="good"),
    sa.Column("health_why", sa.Text, nullable=False, server_default=""),
    sa.Column("health_by", sa.Text, nullable=False, server_default=""),
    _instant("health_since"),
    sa.Column("bad_probes", sa.Integer, nullable=False, server_default="0"),
    sa.Column("good_probes", sa.Integer, nullable=False, server_default="0"),
    _instant("learns_from"),
    sa.Column("drift", sa.Text, nullable=False, server_default=""),
    _instant("rests_until"),
    sa.Column("agent_version", sa.Text, nullable=False, server_default=""),
    sa.Column("instance", sa.Text, nullable=False, server_default=""),
    sa.Column("instances_before", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("said", sa.Text),
    _instant("created_at", known=True),
    _instant("seen_at", known=True),
    sa.CheckConstraint("health IN ('good', 'probation', 'quarantined')", name="device_health"),
)
"""One physical device, which is one slot: ``attempt_id`` is the attempt that holds it now. ``unfit`` is why it takes none
for the time being, as its agent says; empty: it is well. ``instance`` is the agent's process that serves it, ``instances_before`` are those that
did, the newest first.

``health`` is a :class:`dynolab.spec.board_health.Health` with ``health_why``, ``health_by`` and the probes in a row, ``bad_probes``
and ``good_probes``. Its band is learned from probes since ``learns_from``; ``drift`` is what changed slowly. After its agent was
lost amid a job it takes none before ``rests_until``.

``pool_id`` is None when it was put out of its pool, until it is announced anew. ``is_confined``: it runs models in a sandbox;
one that does not takes only jobs of the account whose agent serves it. ``agent_version``: of dynolab there; empty: it did
not say. ``said`` is a digest of what its agent said last, by which a replica that remembers it knows that it said nothing else to another."""
sa.Index("ix_device_pool_os", device.c.pool_id, device.c.os)
sa.Index("ix_device_name", device.c.name, device.c.id)
sa.Index("ix_device_token_id", device.c.token_id)

probe = sa.Table(
    "probe",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("device_id", sa.Text, sa.ForeignKey("device.id", ondelete="CASCADE"), nullable=False),
    _instant("at", known=True),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("figures", JSONB, nullable=False),
    sa.Column("cores", sa.Integer, nullable=False),
    sa.Column("others_share", sa.Float),
    sa.Column("celsius", sa.Float),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False, server_default=""),
    sa.CheckConstraint("verdict IN ('learning', 'good', 'slow', 'disturbed')", name="probe_verdict"),
)
"""What a board showed at one instant, a :class:`dynolab.spec.board_health.Probe`, and what was made of it then."""
sa.Index("ix_probe_device_at", probe.c.device_id, probe.c.at.desc())

blob = sa.Table(
    "blob",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("keys", ARRAY(sa.Text), nullable=False),
    sa.Column("digests", ARRAY(sa.Text)),
    sa.Column("account_id", sa.BigInteger),
    sa.Column("in_project", sa.Text),
    _instant("created_at", known=True),
)
"""A sequence of bytes: the objects ``keys`` of the blob store, one after the other. ``digests`` are their SHA-256 digests as
the hub saw the bytes come, in hexadecimal; None, or NULL for one of them: it did not see them, and will read them.
``account_id`` and ``in_project``: the place whose bytes they are (see :data:`stored_bytes`); None: that is not known yet."""
sa.Index("ix_blob_keys", blob.c["keys"], postgresql_using="gin")
UNREAD = "(digests IS NULL OR array_position(digests, NULL) IS NOT NULL)"
"""Of blobs whose bytes went past the hub, or came before digests were kept (see :mod:`dynolab.hub.usecases.sweep_digests`)."""
sa.Index("ix_blob_unread", blob.c.id, postgresql_where=sa.text(UNREAD))
sa.Index("ix_blob_unowned", blob.c.id, postgresql_where=blob.c.account_id.is_(None))

stored_bytes = sa.Table(
    "stored_bytes",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("account_id", sa.BigInteger, nullable=False),
    sa.Column("in_project", sa.Text),
    sa.Column("bytes", sa.BigInteger, nullable=False),
)
"""How many bytes of blobs came to a place or went (below 0), which a sweep adds up to one row of each account and project. The database
itself writes them with the blob's row (a trigger): whoever makes or removes a blob, an older replica too, is counted. Backups have none of them."""
sa.Index("ix_stored_bytes_account", stored_bytes.c.account_id)
sa.Index("ix_stored_bytes_project", stored_bytes.c.in_project, postgresql_where=stored_bytes.c.in_project.is_not(None))

total_bytes = sa.Table(
    "total_bytes",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("bytes", sa.BigInteger, nullable=False),
)
"""How many bytes all blobs have: the sum of these few rows. A trigger changes one that no other transaction has in hand, with each statement
that makes or removes blobs (migration 0037). Backups have none of them."""

upload = sa.Table(
    "upload",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _owner(),
    sa.Column("target_id", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("part_bytes", sa.BigInteger),
    sa.Column("come_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("direct", sa.Text),
    _instant("created_at", known=True),
    _instant("completed_at"),
)
"""An upload that was begun; ``bytes`` is None where the client did not say how many will come: ``come_bytes`` then counts.

``direct``: its bytes go to the store itself, by the store's multipart upload of this id, or by a form (``form``).
"""

sa.Index("ix_upload_created_at", upload.c.created_at)
sa.Index("ix_upload_account_open", upload.c.account_id, postgresql_where=upload.c.completed_at.is_(None))

upload_part = sa.Table(
    "upload_part",
    metadata,
    sa.Column("upload_id", sa.Text, sa.ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text),
)

model = sa.Table(
    "model",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _owner(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("is_directory", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("project_id", sa.Text, nullable=False, server_default=""),
    _in_project(),
    sa.Column("producer_id", sa.Text, nullable=False, server_default=""),
    sa.Column("tensors", JSONB),
    _blob("blob_id"),
    _instant("created_at", known=True),
    _instant("deleted_at"),
)
"""``kind`` is one of :data:`dynolab.hub.usecases.create_model.ENDINGS`, or a format that a device reads; ``blob_id`` is None until the upload is complete.
``tensors`` is a :class:`dynolab.spec.agents.Tensors` once a job of its owner told what the model takes and gives.
A deleted model keeps its row, for the name in the jobs that it was used by."""
sa.Index("ix_model_account_created", model.c.account_id, model.c.created_at.desc(), model.c.id)
sa.Index("ix_model_name", model.c.name)
_index_names(model)
sa.Index(
    "ix_model_project_created",
    model.c.in_project,
    model.c.created_at.desc(),
    model.c.id,
    model.c.account_id,
    postgresql_where=model.c.in_project.is_not(None),
)

dataset = sa.Table(
    "dataset",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _owner(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("project_id", sa.Text, nullable=False, server_default=""),
    _in_project(),
    _blob("blob_id"),
    _instant("created_at", known=True),
    _instant("expires_at"),
    _instant("deleted_at"),
)
sa.Index("ix_dataset_account_created", dataset.c.account_id, dataset.c.created_at.desc(), dataset.c.id)
sa.Index("ix_dataset_expires_at", dataset.c.expires_at, postgresql_where=dataset.c.deleted_at.is_(None))
_index_names(dataset)
sa.Index(
    "ix_dataset_project_created",
    dataset.c.in_project,
    dataset.c.created_at.desc(),
    dataset.c.id,
    dataset.c.account_id,
    postgresql_where=dataset.c.in_project.is_not(None),
)

job = sa.Table(
    "job",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    _owner(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("project_id", sa.Text, nullable=False, server_default=""),
    _in_project(),
    sa.Column("model_id", sa.Text, sa.ForeignKey("model.id"), nullable=False),
    sa.Column("dataset_id", sa.Text, sa.ForeignKey("dataset.id")),
    sa.Column("baseline_id", sa.Text, sa.ForeignKey("model.id")),
    sa.Column("comparison", JSONB),
    sa.Column("toolchain", sa.Text),
    sa.Column("input_specs", JSONB),
    sa.Column("weights_dtype", sa.Text),
    sa.Column("activations_dtype", sa.Text),
    sa.Column("linked_ids", ARRAY(sa.Text)),
    sa.Column("source_ids", ARRAY(sa.Text)),
    sa.Column("target_model_id", sa.Text, sa.ForeignKey("model.id")),
    sa.Column("pool_id", sa.Text, sa.ForeignKey("pool.id")),
    sa.Column("device_name", sa.Text, nullable=False),
    sa.Column("device_os", sa.Text, nullable=False),
    sa.Column("device_attributes", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("options", sa.Text, nullable=False, server_default=""),
    sa.Column("measures", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("input_shapes", JSONB, nullable=False, server_default="{}"),
    sa.Column("requirements", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("keeps_artifact", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("asked_priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("deadline_s", sa.Float),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("queue_entry", sa.BigInteger),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("failure", JSONB),
    sa.Column("summary", JSONB),
    sa.Column("tensors", JSONB),
    _blob("result_blob_id", index=False),
    _blob("artifact_blob_id", index=False),
    sa.Column("output_dataset_id", sa.Text, sa.ForeignKey("dataset.id")),
    _instant("created_at", known=True),
    _instant("started_at"),
    _instant("finished_at"),
    _instant("updated_at", known=True),
    _instant("cancelled_at"),
    sa.Column("is_pinned", sa.Boolean, nullable=False, server_default=sa.false()),
    _instant("cleared_at"),
    sa.Column("traceparent", sa.Text),
    sa.CheckConstraint("state IN ('queued', 'preparing', 'running', 'done', 'failed', 'cancelled')", name="job_state"),
)
"""``kind``: ``profile`` (random inputs), ``inference`` (a dataset's), ``compare`` (the model and another, ``baseline_id``, take
turns; ``comparison`` is the baseline's options and a :class:`dynolab.spec.duets.DuetTerms`), ``compile`` (``target_model_id`` is
made of it, by a ``toolchain`` such as ``onnx/torchscript``; ``input_specs`` is a list of inputs' names, shapes and element types) or
``quantize`` (likewise, by ``quantize/onnx``, with the dataset's calibration data; no device is named) or ``link`` (likewise, by
``link/qnn_dlc``, of the model and those of ``linked_ids``, in this order; ``source_ids`` are what these were made of, which the
agent is given); ``measures``: whether the stages are measured.
``pool_id`` is where it goes; None: a job of an older hub. ``input_shapes``: sizes by input name. ``requirements`` are limits that the profile is held against; ``keeps_artifact``: whether what compile makes is left, too.
``asked_priority`` is the owner's; ``priority`` orders the queue (see :mod:`dynolab.hub.usecases.enqueue_job`).
``queue_entry`` is None while a queued job waits for others (:data:`dependency`). ``deadline_s`` bounds an attempt's run.
``failure`` is an error as a dict; ``summary`` the headline figures; ``tensors`` a :class:`dynolab.spec.agents.Tensors`;
``cancelled_at`` when a cancel was asked for. ``is_pinned``: retention does not reach it; ``cleared_at``: when retention took its
results. ``traceparent`` (W3C) is of what submitted it; None: of no trace."""
sa.Index("ix_job_queued", job.c.pool_id, job.c.device_os, job.c.account_id, postgresql_where=job.c.state == "queued")
sa.Index(
    "ix_job_toolchain",
    job.c.pool_id,
    job.c.toolchain,
    job.c.account_id,
    postgresql_where=sa.and_(job.c.state == "queued", job.c.toolchain.is_not(None)),
)
sa.Index(
    "ix_job_account_newest", job.c.account_id, job.c.created_at.desc(), job.c.id, postgresql_include=["in_project"]
)
sa.Index("ix_job_account_device", job.c.account_id, job.c.device_name, job.c.created_at.desc(), job.c.id)
sa.Index("ix_job_model_newest", job.c.model_id, job.c.account_id, job.c.created_at.desc(), job.c.id)
sa.Index(
    "ix_job_not_done",
    job.c.account_id,
    job.c.state,
    job.c.created_at.desc(),
    job.c.id,
    postgresql_where=job.c.state != "done",
)
_index_names(job)
sa.Index("ix_job_dataset_known", job.c.dataset_id, postgresql_where=job.c.dataset_id.is_not(None))
_index_known(job, "result_blob_id", "artifact_blob_id")
sa.Index("ix_job_baseline", job.c.baseline_id, postgresql_where=job.c.baseline_id.is_not(None))
for _several in (job.c.linked_ids, job.c.source_ids):
    sa.Index(f"ix_job_{_several.name}", _several, postgresql_using="gin", postgresql_where=_several.is_not(None))
sa.Index("ix_job_target", job.c.target_model_id, postgresql_where=job.c.target_model_id.is_not(None))
sa.Index("ix_job_output_known", job.c.output_dataset_id, postgresql_where=job.c.output_dataset_id.is_not(None))
sa.Index(
    "ix_job_kind",
    job.c.account_id,
    job.c.kind,
    job.c.created_at.desc(),
    job.c.id,
    postgresql_where=job.c.kind != "profile",
)
sa.Index(
    "ix_job_project",
    job.c.account_id,
    job.c.project_id,
    job.c.created_at.desc(),
    job.c.id,
    postgresql_where=job.c.project_id != "",
)
sa.Index(
    "ix_job_deadline",
    job.c.id,
    postgresql_where=sa.and_(job.c.deadline_s.is_not(None), job.c.state.in_(("preparing", "running"))),
)
sa.Index(
    "ix_job_idempotency_key",
    job.c.account_id,
    job.c.idempotency_key,
    postgresql_where=job.c.idempotency_key.is_not(None),
)

for _name, _leading, _of_all in (
    ("created", (), True),
    ("device", (job.c.device_name,), True),
    ("not_done", (job.c.state,), False),
):
    sa.Index(
        f"ix_job_project_{_name}",
        job.c.in_project,
        *_leading,
        job.c.created_at.desc(),
        job.c.id,
        job.c.account_id,
        postgresql_where=job.c.in_project.is_not(None)
        if _of_all
        else sa.text("in_project IS NOT NULL AND state <> 'done'"),
    )

dependency = sa.Table(
    "dependency",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey("job.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("needed_id", sa.Text, primary_key=True, index=True),
)
"""Which jobs a job waits for. They are older than it, so there are no cycles; their ids stay when they are deleted."""

attempt = sa.Table(
    "attempt",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("job_id", sa.Text, sa.ForeignKey("job.id", ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("device_id", sa.Text, sa.ForeignKey("device.id"), nullable=False),
    sa.Column("token_id", sa.Text, sa.ForeignKey("token.id")),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("progress", JSONB),
    sa.Column("failure", JSONB),
    _blob("result_blob_id", index=False),
    _blob("output_blob_id", index=False),
    _blob("artifact_blob_id", index=False),
    _blob("log_blob_id", index=False),
    _instant("started_at", known=True),
    _instant("renewed_at", known=True),
    _instant("finished_at"),
    sa.Column("away_s", sa.Float, nullable=False, server_default="0"),
    sa.UniqueConstraint("job_id", "number"),
    sa.CheckConstraint("state IN ('running', 'done', 'failed', 'lost', 'cancelled')", name="attempt_state"),
)
"""One try of a job on one device. Its id is the fence: whoever finishes it must name it, and only once; it is no secret.
Only who sends the token that claimed it, ``token_id``, is heard about it. ``renewed_at`` is in no index: a heartbeat changes nothing
but the row (a heap-only tuple), for which pages are kept a fifth empty.
``away_s``: for how long of its time the hub itself was away."""
sa.Index("ix_attempt_device_started", attempt.c.device_id, attempt.c.started_at.desc(), attempt.c.id)
sa.Index("ix_attempt_running_since", attempt.c.started_at, postgresql_where=attempt.c.state == "running")
sa.Index(
    "ix_attempt_set_back",
    attempt.c.started_at,
    postgresql_where=sa.and_(attempt.c.state == "running", attempt.c.away_s < 0),
)
_index_known(attempt, "result_blob_id", "output_blob_id", "artifact_blob_id", "log_blob_id")

device_use = sa.Table(
    "device_use",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("account_id", sa.BigInteger, sa.ForeignKey("account.id"), nullable=False),
    sa.Column("in_project", sa.Text, sa.ForeignKey("project.id", ondelete="CASCADE")),
    sa.Column("month", sa.Date, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
)
"""For how long attempts held a device, by the month (UTC) in which they ended: one row each at first, which a sweep adds up to one
of each account and project (see :mod:`dynolab.hub.usecases.quotas`)."""
sa.Index("ix_device_use_account", device_use.c.account_id, device_use.c.month)
sa.Index(
    "ix_device_use_project",
    device_use.c.in_project,
    device_use.c.month,
    postgresql_where=device_use.c.in_project.is_not(None),
)

live_log = sa.Table(
    "live_log",
    metadata,
    sa.Column("attempt_id", UUID(as_uuid=True), sa.ForeignKey("attempt.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
)
"""The end of what an attempt has logged so far. It goes once the attempt's whole log is there; a lost one's stays."""

share = sa.Table(
    "share",
    metadata,
    sa.Column("target_id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text, primary_key=True),
    sa.Column("via", sa.Text, primary_key=True, server_default=""),
    sa.Column("granted_by", sa.BigInteger, sa.ForeignKey("account.id"), nullable=False),
    _instant("granted_at", known=True),
    _instant("target_at"),
)
"""Whom the owner of a job, model or dataset shares it with. ``via``: the job with which it was shared; empty: for itself.

``target_at``: when what is shared was made, by which lists are ordered. The database itself puts it in (a trigger), so that what an
older replica shares is in them, too."""
sa.Index("ix_share_email", share.c.email, share.c.target_id)
sa.Index(
    "ix_share_newest", share.c.email, sa.func.left(share.c.target_id, 1), share.c.target_at.desc(), share.c.target_id
)
sa.Index("ix_share_via", share.c.via, postgresql_where=share.c.via != "")
