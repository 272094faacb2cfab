"""Bringing a database to the schema of this version, in numbered steps."""

from __future__ import annotations

import threading
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

# alembic keeps the migration under way in module globals.
_ONE_AT_A_TIME = threading.Lock()
_POSTGRES_LOCK = 7_240_911
"""Any number: the key under which processes take turns."""


def upgrade(engine: sa.Engine) -> None:
    """Apply the steps a database has not had yet; a new database gets them all.

    Raises
    ------
    sqlalchemy.exc.SQLAlchemyError
        If the database cannot be reached or a step fails; a failed step leaves nothing behind.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with _ONE_AT_A_TIME:
        # Looked up first: a database that is up to date can be opened while another process writes.
        if not _is_current(engine, config):
            _upgrade(engine, config)


def _is_current(engine: sa.Engine, config: Config) -> bool:
    with engine.connect() as connection:
        connection.execution_options(changerisk_reading=True)
        revision = MigrationContext.configure(connection).get_current_revision()
    return revision == ScriptDirectory.from_config(config).get_current_head()


def _upgrade(engine: sa.Engine, config: Config) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRES_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
