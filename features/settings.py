"""The environment, read once at start into one frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from features.errors import ChangeRiskError


class SettingsError(ChangeRiskError):
    """A setting cannot be read; the message names it and says what was expected."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where things are and how the service behaves.

    Parameters
    ----------
    home : Path
        ``CHANGERISK_HOME``: store, registry and artefacts of one organisation. Default ``var``.
    store_url : str
        ``CHANGERISK_STORE_URL``: SQLAlchemy URL. Default an SQLite file in the home.
    mlflow_uri : str
        ``CHANGERISK_MLFLOW_URI``: tracking and registry. Default an SQLite file in the home.
    host, port : str, int
        ``CHANGERISK_HOST``, ``CHANGERISK_PORT``. Default 127.0.0.1 and 3000.
    max_body_bytes : int
        ``CHANGERISK_MAX_BODY_BYTES``: larger requests are refused. Default 262144.
    """

    home: Path
    store_url: str
    mlflow_uri: str
    host: str
    port: int
    max_body_bytes: int

    @property
    def artifacts(self) -> Path | None:
        """Folder of artefacts of the local registry; None where a server keeps them."""
        return self.home / "artifacts" if self.mlflow_uri.startswith("sqlite:") else None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Settings from environment variables.

        Raises
        ------
        SettingsError
            If a number is not one.
        """
        home = Path(environment.get("CHANGERISK_HOME") or "var").absolute()
        if set("?#") & set(str(home)):
            raise SettingsError(
                f"CHANGERISK_HOME: expected a path without ? and #, which a database's URL cannot "
                f"hold, got {str(home)!r}"
            )
        return cls(
            home=home,
            store_url=environment.get("CHANGERISK_STORE_URL") or f"sqlite:///{home / 'history.db'}",
            mlflow_uri=environment.get("CHANGERISK_MLFLOW_URI")
            or f"sqlite:///{home / 'mlflow.db'}",
            host=environment.get("CHANGERISK_HOST") or "127.0.0.1",
            port=_number(environment, "CHANGERISK_PORT", 3000, 65_535),
            max_body_bytes=_number(environment, "CHANGERISK_MAX_BODY_BYTES", 262_144, 2**31),
        )


def _number(environment: Mapping[str, str], name: str, default: int, largest: int) -> int:
    text = environment.get(name)
    if not text:
        return default
    digits = text.isascii() and text.isdecimal() and len(text) < 20
    if not digits or not 1 <= int(text) <= largest:
        raise SettingsError(f"{name}: expected a whole number from 1 to {largest}, got {text!r}")
    return int(text)
