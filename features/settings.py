"""The environment, read once at start into one frozen object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from features.errors import ChangeRiskError

Network = IPv4Network | IPv6Network

MOST_WORKERS = 4
"""Workers that are started without being asked for: each holds libraries and what it has read."""

_OIDC = ("oidc_jwks", "oidc_issuer", "oidc_audience")


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
    workers : int
        ``CHANGERISK_WORKERS``: number of processes that answer. Default one for each core it may
        use, at most four.
    max_body_bytes : int
        ``CHANGERISK_MAX_BODY_BYTES``: larger requests are refused. Default 262144.
    max_batch_bytes : int
        ``CHANGERISK_MAX_BATCH_BYTES``: the same for ``/v1/score/batch``. Default 33554432.
    rate_limit : str or None
        ``CHANGERISK_RATE_LIMIT``: calls of one key to one worker, such as ``600/minute``. Default
        none.
    oidc_jwks, oidc_issuer, oidc_audience : str or None
        ``CHANGERISK_OIDC_JWKS`` (a file or an ``https`` URL), ``CHANGERISK_OIDC_ISSUER``,
        ``CHANGERISK_OIDC_AUDIENCE``: whose bearer tokens are accepted; all three or none.
    oidc_roles : str
        ``CHANGERISK_OIDC_ROLES``: claim that names the roles, with dots for nested ones. Default
        ``roles``.
    proxy_peers : tuple of networks
        ``CHANGERISK_PROXY_PEERS``: addresses or networks, with commas, whose ``X-Remote-User`` and
        ``X-Remote-Roles`` are believed. Default none.
    messages : Path or None
        ``CHANGERISK_MESSAGES``: compiled gettext catalogue of the language explanations are told
        in. Default none: English.
    """

    home: Path
    store_url: str
    mlflow_uri: str
    host: str
    port: int
    max_body_bytes: int
    workers: int = 1
    max_batch_bytes: int = 33_554_432
    rate_limit: str | None = None
    oidc_jwks: str | None = None
    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_roles: str = "roles"
    proxy_peers: tuple[Network, ...] = ()
    messages: Path | None = None

    @property
    def indexes(self) -> Path:
        """Folder of saved indexes."""
        return self.home / "index"

    @property
    def artifacts(self) -> Path | None:
        """Folder of artefacts of the local registry; None where a server keeps them."""
        return self.home / "artifacts" if self.mlflow_uri.startswith("sqlite:") else None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Settings from environment variables.

        Parameters
        ----------
        environment : mapping of str to str
            ``os.environ``, or what stands in for it.

        Raises
        ------
        SettingsError
            If a number is not one, or OIDC or proxy settings make no sense.
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
            workers=_number(environment, "CHANGERISK_WORKERS", min(_cores(), MOST_WORKERS), 256),
            max_body_bytes=_number(environment, "CHANGERISK_MAX_BODY_BYTES", 262_144, 2**31),
            max_batch_bytes=_number(environment, "CHANGERISK_MAX_BATCH_BYTES", 33_554_432, 2**31),
            rate_limit=environment.get("CHANGERISK_RATE_LIMIT") or None,
            **_oidc(environment),
            proxy_peers=_networks(environment, "CHANGERISK_PROXY_PEERS"),
            messages=Path(path) if (path := environment.get("CHANGERISK_MESSAGES")) else None,
        )


def _oidc(environment: Mapping[str, str]) -> dict[str, Any]:
    """The three settings that only make sense together, and the claim of the roles."""
    names = {name: f"CHANGERISK_{name.upper()}" for name in _OIDC}
    given = {name: environment.get(setting) or None for name, setting in names.items()}
    missing = [names[name] for name, value in given.items() if value is None]
    if missing and len(missing) < len(names):
        raise SettingsError(f"{', '.join(missing)}: expected together with the other OIDC settings")
    jwks = given["oidc_jwks"]
    if jwks is not None and "://" in jwks and not jwks.startswith(("https://", "http://127.")):
        raise SettingsError(f"CHANGERISK_OIDC_JWKS: expected a file or an https URL, got {jwks!r}")
    return {**given, "oidc_roles": environment.get("CHANGERISK_OIDC_ROLES") or "roles"}


def _networks(environment: Mapping[str, str], name: str) -> tuple[Network, ...]:
    found = []
    for part in filter(None, map(str.strip, (environment.get(name) or "").split(","))):
        try:
            found.append(ip_network(part))
        except ValueError as error:
            raise SettingsError(f"{name}: expected addresses or networks, got {part!r}") from error
    return tuple(found)


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _number(environment: Mapping[str, str], name: str, default: int, largest: int) -> int:
    text = environment.get(name)
    if not text:
        return default
    digits = text.isascii() and text.isdecimal() and len(text) < 20
    if not digits or not 1 <= int(text) <= largest:
        raise SettingsError(f"{name}: expected a whole number from 1 to {largest}, got {text!r}")
    return int(text)
