"""An empty store, on SQLite and, where one is to be had, on a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from features.store import Store

POSTGRES = "CHANGERISK_TEST_POSTGRES"
INSTALLED = Path("/usr/lib/postgresql")
"""Where Debian keeps a server's programs, which are on nobody's PATH."""

NO_SERVER = (
    f"no PostgreSQL: neither its initdb and pg_ctl are on PATH or in {INSTALLED}/*/bin, nor does "
    f"{POSTGRES} name a server"
)


def programs(path: str, installed: Path = INSTALLED) -> Path | None:
    """Folder with the programs of the newest server found; None without one."""
    by_version = sorted(
        (folder for folder in installed.glob("*/bin") if folder.parent.name.isdecimal()),
        key=lambda folder: -int(folder.parent.name),
    )
    for folder in [*map(Path, path.split(os.pathsep)), *by_version]:
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "pg_ctl")):
            return folder
    return None


@pytest.fixture
def programs_of() -> Callable[[str, Path], Path | None]:
    """:func:`programs`, for the test of it."""
    return programs


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URL of a server: the one named, else one of our own that is thrown away afterwards."""
    named = os.environ.get(POSTGRES)
    if named:
        yield named
        return
    found = programs(os.environ.get("PATH", ""))
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(NO_SERVER)
        pytest.skip(NO_SERVER)
    # The server answers on a socket in this folder alone, whose path must be short.
    folder = Path(tempfile.mkdtemp(prefix="changerisk-pg-"))
    data, as_owner = str(folder / "data"), _as_owner(folder)
    _ran(
        as_owner, found / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "-N"
    )
    settings = f"-k {folder} -c listen_addresses= -c fsync=off"
    try:
        _ran(as_owner, found / "pg_ctl", "-D", data, "-w", "-t", "120", "-l", f"{folder}/log",
             "-o", settings, "start")  # fmt: skip
        yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            _ran(as_owner, found / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _as_owner(folder: Path) -> list[str]:
    """What a server's programs are started with: they refuse to be run by root."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "postgres")
    return ["runuser", "-u", "postgres", "--"]


def _ran(as_owner: list[str], program: Path, *arguments: str) -> None:
    """Run to its end; its output goes to a file, which a server may keep open."""
    with tempfile.TemporaryFile() as output:
        ran = subprocess.run(
            [*as_owner, str(program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            timeout=180,
            check=False,
        )
        output.seek(0)
        assert ran.returncode == 0, f"{program.name}: {output.read().decode(errors='replace')}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of its own for every test."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/deep/history.db"
        return
    server = request.getfixturevalue("server")
    name = f"changerisk_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store(url)
    yield opened
    opened.close()
