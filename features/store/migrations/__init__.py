"""Bringing a database to the schema of this version, in numbered steps."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config


def upgrade(engine: sa.Engine) -> None:
    """Apply the steps a database has not had yet; a new database gets them all.

    Raises
    ------
    sqlalchemy.exc.SQLAlchemyError
        If the database cannot be reached or a step fails; a failed step leaves nothing behind.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
