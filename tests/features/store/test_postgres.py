"""Where the tests find a PostgreSQL server, and that it is one of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.postgres import programs

pytestmark = pytest.mark.postgres


def test_programs_are_found_on_the_path_then_the_newest_installed(tmp_path: Path) -> None:
    def installed(*parts: str) -> Path:
        folder = tmp_path.joinpath(*parts)
        folder.mkdir(parents=True)
        for name in ("initdb", "pg_ctl"):
            (folder / name).touch(0o755)
        return folder

    def found(path: str) -> Path | None:
        return programs(path, tmp_path / "lib")

    assert found("/nowhere") is None
    nine, fifteen = installed("lib", "9", "bin"), installed("lib", "15", "bin")
    assert found("/nowhere") == fifteen
    (fifteen / "pg_ctl").chmod(0o644)
    assert found("/nowhere") == nine, "what cannot be run is no server"
    own = installed("own")
    assert found(f"/nowhere:{own}") == own


def test_the_server_answers(postgres_server: str) -> None:
    engine = sa.create_engine(postgres_server)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
    engine.dispose()
