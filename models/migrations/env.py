"""Alembic's entry: runs the steps over the connection that `models.schema_upgrade` hands in."""

from alembic import context

from models.base import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
