"""
What Alembic runs to migrate: over the connection that `schema.py` hands it, or over a URL given on its command line.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from perijove.hub.store.tables import metadata


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _migrate(given)
else:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "")
    with engine.begin() as own:
        _migrate(own)
    engine.dispose()
