"""The databases a campaign takes away and gives back: an SQLite file, a PostgreSQL server."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import psutil

from tests.load import free_port

BINARIES = Path("/usr/lib/postgresql")


class Database(Protocol):
    """A database that can be gone."""

    url: str

    def take_away(self) -> None:
        """Whoever uses it finds it gone."""

    def give_back(self) -> None:
        """It is there again, as it was."""

    def close(self) -> None:
        """It is not needed any more."""


class SqliteFile:
    """A file that is moved elsewhere; what has it open still has it."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self._path = path
        self._away = path.parent / "away"

    def take_away(self) -> None:
        """Move it, first the file itself, so that none of its journals is taken for garbage."""
        self._away.mkdir(exist_ok=True)
        for path in self._files(self._path.parent):
            path.rename(self._away / path.name)

    def give_back(self) -> None:
        """Move it back, the file itself last. What stands in its place now is lost."""
        for path in reversed(self._files(self._away)):
            path.replace(self._path.parent / path.name)

    def _files(self, folder: Path) -> list[Path]:
        names = [self._path.name + end for end in ("", "-wal", "-shm")]
        return [folder / name for name in names if (folder / name).exists()]

    def close(self) -> None:
        """Nothing to do."""


class PostgresServer:
    """A server of the campaign's own, in a folder."""

    def __init__(self, folder: Path) -> None:
        if not postgres_found():
            raise RuntimeError(f"expected PostgreSQL's programs under {BINARIES}")
        self._programs = _programs()
        self._folder, self._port = folder, free_port()
        folder.mkdir(parents=True)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            shutil.chown(folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", f"{folder}/db", "-A", "trust", "-U", "postgres")
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/postgres"
        self.give_back()

    def take_away(self) -> None:
        """Stop it at once, as a crash does."""
        self._run("pg_ctl", "-D", f"{self._folder}/db", "-m", "immediate", "-w", "stop")

    def give_back(self) -> None:
        """Start it; it replays its own journal."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._folder}"
        log = f"{self._folder}/log"
        self._run("pg_ctl", "-D", f"{self._folder}/db", "-w", "-l", log, "-o", options, "start")

    def processes(self) -> list[psutil.Process]:
        """All of its processes; none while it is down."""
        try:
            first = int((self._folder / "db" / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(first)
            return [process, *process.children(recursive=True)]
        except (OSError, psutil.NoSuchProcess):
            return []

    def revive(self) -> None:
        """Start it unless it runs, as its supervisor would."""
        try:
            self._run("pg_ctl", "-D", f"{self._folder}/db", "status")
        except subprocess.CalledProcessError:
            self.give_back()

    def close(self) -> None:
        """Stop it; its folder is its caller's."""
        self.take_away()

    def _run(self, program: str, *arguments: str) -> None:
        command: Sequence[str] = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:  # the server refuses to run as root
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, timeout=120, cwd=self._folder
        )


def postgres_found() -> bool:
    """Whether a server can be started here."""
    return BINARIES.is_dir()


def _programs() -> Path:
    return max(BINARIES.glob("*/bin"), key=lambda path: float(path.parent.name))
