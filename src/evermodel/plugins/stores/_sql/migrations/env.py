"""Run by alembic: the migrations work on the connection, and in the transaction, of whoever asked for them."""

from __future__ import annotations


def run() -> None:
    from alembic import context

    connection = context.config.attributes["connection"]
    context.configure(connection=connection, render_as_batch=connection.dialect.name == "sqlite")
    context.run_migrations()


if __name__ == "env_py":  # the name alembic loads this file under; nobody else runs it
    run()
