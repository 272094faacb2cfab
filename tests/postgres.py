"""A PostgreSQL server for tests and campaigns, where its programs are installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import psycopg

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


class PostgresServer:
    """A server of one's own, running, in a new folder that goes with it.

    Parameters
    ----------
    durable : bool
        Whether what it acknowledged outlives a crash; where nothing crashes it is faster without.

    Raises
    ------
    RuntimeError
        If its programs are not installed, or one of them fails.
    """

    def __init__(self, *, durable: bool) -> None:
        found = programs(os.environ.get("PATH", ""))
        if found is None:
            raise RuntimeError(NO_SERVER)
        self._programs, self._durable = found, durable
        # It answers on a socket in this folder alone, whose path must be short.
        self._folder = Path(tempfile.mkdtemp(prefix="changerisk-pg-"))
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        self._run("initdb", "-D", f"{self._folder}/db", "-A", "trust", "-U", "postgres",
                  "-E", "UTF8", "-N")  # fmt: skip
        self.url = f"postgresql+psycopg://postgres@/postgres?host={self._folder}"
        self.give_back()

    def take_away(self) -> None:
        """Stop it at once, as a crash does."""
        self._run("pg_ctl", "-D", f"{self._folder}/db", "-m", "immediate", "-w", "stop")

    def give_back(self) -> None:
        """Start it; it replays its own journal."""
        options = f"-k {self._folder} -c listen_addresses="
        options += "" if self._durable else " -c fsync=off"
        self._run("pg_ctl", "-D", f"{self._folder}/db", "-w", "-t", "120",
                  "-l", f"{self._folder}/log", "-o", options, "start")  # fmt: skip

    def processes(self) -> list[psutil.Process]:
        """All of its processes; none while it is down."""
        try:
            first = int((self._folder / "db" / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(first)
            return [process, *process.children(recursive=True)]
        except (OSError, psutil.NoSuchProcess):
            return []

    def limit_files(self, most: str) -> None:
        """Set the size of files its processes may write, in bytes or ``unlimited``."""
        for process in self.processes():
            # Of another user's process only that user may, where root was left without the right.
            with contextlib.suppress(RuntimeError):  # it is gone
                self._as_user("prlimit", "--pid", str(process.pid), f"--fsize={most}:")

    def revive(self, *, seconds: float = 60.0) -> None:
        """Wait until it answers; start it where it gave up, as its supervisor would.

        Raises
        ------
        RuntimeError, psycopg.OperationalError
            If it does not answer in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                if not self.processes():
                    self.give_back()
                psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=5).close()
            except (RuntimeError, psycopg.OperationalError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def close(self) -> None:
        """Stop it and remove all it kept."""
        if self.processes():
            self.take_away()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        self._as_user(str(self._programs / program), *arguments)

    def _as_user(self, *command: str) -> None:
        if os.geteuid() == 0:  # the server refuses to run as root
            command = ("runuser", "-u", "postgres", "--", *command)
        # To a file: a server that was started keeps it open.
        with tempfile.TemporaryFile() as said:
            ran = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", timeout=180,
                check=False,
            )  # fmt: skip
            said.seek(0)
            if ran.returncode:
                raise RuntimeError(f"{command}: {said.read().decode(errors='replace')}")
