"""API keys: who may call what. Only digests are stored; a key is shown once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime

from features import instants
from features.store import Store
from serving.access import MAY, ROLES

PREFIX = "crk_"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls.

    Parameters
    ----------
    key_id : str
        Id of the key, never the key.
    name : str
        Who holds it: a person or a machine.
    also : tuple of str
        Further names of the same person, such as an e-mail address.
    """

    key_id: str
    name: str
    role: str
    also: tuple[str, ...] = ()

    @property
    def permissions(self) -> frozenset[str]:
        """What the caller may do."""
        return MAY[self.role]

    def is_called(self, name: str | None) -> bool:
        """Whether a name on a record is the caller's, whatever its case and blanks."""
        known = {_plain(own) for own in (self.name, *self.also)}
        return name is not None and bool(name.strip()) and _plain(name) in known

    def signed(self) -> dict[str, str]:
        """The caller as the journal keeps it."""
        return {"key_id": self.key_id, "name": self.name, "role": self.role}


def _plain(name: str) -> str:
    return " ".join(name.casefold().split())


def create(
    store: Store, *, name: str, role: str, now: datetime, expires_at: datetime | None
) -> str:
    """Make a key, store its digest and give the key, which cannot be had again.

    Raises
    ------
    ValueError
        If there is no such role.
    """
    if role not in ROLES:
        raise ValueError(f"there is no role {role!r}; known are {', '.join(ROLES)}")
    key = PREFIX + secrets.token_urlsafe(32)
    store.add_key(
        key_id=uuid.uuid4().hex[:12],
        name=name,
        role=role,
        digest=_digest(key),
        created_at=instants.to_micros(now),
        expires_at=None if expires_at is None else instants.to_micros(expires_at),
        revoked_at=None,
    )
    return key


def caller(store: Store, presented: str, *, now: datetime) -> Caller | None:
    """The caller a key belongs to; None for an unknown, expired or revoked one.

    Raises
    ------
    StoreUnavailableError
        If the store cannot be asked.
    """
    digest, moment = _digest(presented), instants.to_micros(now)
    for row in store.api_keys():
        live = row["revoked_at"] is None and (
            row["expires_at"] is None or row["expires_at"] > moment
        )
        if live and hmac.compare_digest(row["digest"], digest):
            return Caller(key_id=row["key_id"], name=row["name"], role=row["role"])
    return None


def _digest(key: str) -> str:
    """SHA-256 is enough for 32 random bytes: there is nothing to guess."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
