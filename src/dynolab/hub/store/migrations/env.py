"""How Alembic runs the migrations: inside the transaction that it is handed."""

from __future__ import annotations

from alembic import context

from dynolab.hub.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
