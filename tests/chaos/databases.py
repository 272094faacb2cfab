"""The databases a campaign takes away and gives back; the other is a PostgreSQL server."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


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
