"""API keys: who may call what. Only digests are stored; a key is shown once."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from features import instants
from features.people import plain
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
    granted : frozenset of str, optional
        What the caller may do, where that is not what the role may: the key is narrowed to some of
        it, or a sign-in has several roles.
    """

    key_id: str
    name: str
    role: str
    also: tuple[str, ...] = ()
    granted: frozenset[str] | None = None

    @property
    def permissions(self) -> frozenset[str]:
        """What the caller may do."""
        return MAY[self.role] if self.granted is None else self.granted

    def is_called(self, name: str | None) -> bool:
        """Whether a name on a record is the caller's, whatever its case and blanks."""
        known = {plain(own) for own in self.names}
        return name is not None and bool(plain(name)) and plain(name) in known

    @property
    def names(self) -> tuple[str, ...]:
        """All that the caller is called."""
        return (self.name, *self.also)

    def signed(self) -> dict[str, str]:
        """The caller as the journal keeps it."""
        return {"key_id": self.key_id, "name": self.name, "role": self.role}


def create(
    store: Store,
    *,
    name: str,
    role: str,
    now: datetime,
    expires_at: datetime | None,
    scopes: Collection[str] = (),
    also: Collection[str] = (),
    key_id: str | None = None,
) -> str:
    """Make a key, store its digest and give the key, which cannot be had again.

    Parameters
    ----------
    scopes : collection of str
        Permissions to narrow the key to; all of its role where empty.
    also : collection of str
        Further names of the holder, such as an e-mail address or an id of the ITSM.
    key_id : str, optional
        Its id; by default one that is drawn.

    Raises
    ------
    ValueError
        If there is no such role, or it has no such permission.
    """
    if role not in ROLES:
        raise ValueError(f"there is no role {role!r}; known are {', '.join(ROLES)}")
    if beyond := set(scopes) - MAY[role]:
        raise ValueError(
            f"the role {role} may not {', '.join(sorted(beyond))}; it may {', '.join(_may(role))}"
        )
    key = PREFIX + secrets.token_urlsafe(32)
    store.keys.add(
        key_id=key_id or uuid.uuid4().hex[:12],
        name=name,
        role=role,
        digest=_digest(key),
        created_at=instants.to_micros(now),
        expires_at=None if expires_at is None else instants.to_micros(expires_at),
        revoked_at=None,
        scopes=orjson.dumps(sorted(scopes)).decode() if scopes else None,
        also=orjson.dumps(sorted(set(also))).decode() if also else None,
    )
    return key


def _may(role: str) -> list[str]:
    return sorted(MAY[role])


def rotate(
    store: Store, key_id: str, *, now: datetime, overlap: timedelta, expires_at: datetime | None
) -> str:
    """Make a key like another one, which works for a while longer: two are live meanwhile.

    Raises
    ------
    ValueError
        If there is no such live key.
    """
    row = store.keys.find(key_id=key_id)
    if row is None or not _is_live(row, now):
        raise ValueError(f"there is no live key {key_id!r}")
    key = create(
        store,
        name=row["name"],
        role=row["role"],
        now=now,
        expires_at=expires_at,
        scopes=orjson.loads(row["scopes"]) if row["scopes"] else (),
        also=_also(row),
    )
    store.keys.end(key_id, at=now + overlap)
    return key


def caller(store: Store, presented: str, *, now: datetime) -> Caller | None:
    """The caller a key belongs to; None for an unknown, expired or revoked one.

    Raises
    ------
    StoreUnavailableError
        If the store cannot be asked.
    """
    return _caller(store.keys.find(digest=_digest(presented)), now)


def id_of(store: Store, key: str) -> str:
    """The id of a key that was just made, by which it can be rotated and revoked.

    Raises
    ------
    ValueError
        If there is no such key.
    """
    row = store.keys.find(digest=_digest(key))
    if row is None:
        raise ValueError("there is no such key")
    return str(row["key_id"])


def holder_of(store: Store, key_id: str, *, now: datetime) -> Caller | None:
    """The caller whose key has an id; None for an unknown, expired or revoked one.

    Raises
    ------
    StoreUnavailableError
        If the store cannot be asked.
    """
    return _caller(store.keys.find(key_id=key_id), now)


def _caller(row: Mapping[str, Any] | None, now: datetime) -> Caller | None:
    if row is None or not _is_live(row, now):
        return None
    scopes = None if row["scopes"] is None else orjson.loads(row["scopes"])
    granted = None if scopes is None else MAY[row["role"]] & frozenset(scopes)
    return Caller(
        key_id=row["key_id"], name=row["name"], role=row["role"], also=_also(row), granted=granted
    )


def _also(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(orjson.loads(row["also"])) if row["also"] else ()


def _is_live(row: Mapping[str, Any], now: datetime) -> bool:
    expires_at, moment = row["expires_at"], instants.to_micros(now)
    return row["revoked_at"] is None and (expires_at is None or expires_at > moment)


def _digest(key: str) -> str:
    """SHA-256 is enough for 32 random bytes: there is nothing to guess."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
