"""What Alembic runs to bring a store's tables up to date, in the transaction that it is given."""

from alembic import context

from anymask.data_engine.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite alters a table by making it anew
)
context.run_migrations()
