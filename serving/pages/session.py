"""Sessions of people: a key is shown once and exchanged for a signed cookie that expires.

The cookie names the key, not the person's rights: a key that is revoked or has expired ends every
session made with it at once.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from features.store import Store
from serving.keys import Caller, holder_of

COOKIE = "changerisk_session"

SESSION = timedelta(hours=12)
"""How long a session lasts; then the person signs in again."""

LINK = timedelta(days=1)
"""How long a link that signs in works."""

FEED = timedelta(days=400)
"""How long the address of a feed works."""

LASTS = {"session": SESSION, "link": LINK, "feed": FEED}

SECRET_FILE = "session-secret"  # noqa: S105 - a file's name

ALGORITHM = "HS256"


def secret(home: Path) -> OctKey:
    """The organisation's signing secret, made on first use; only its owner can read the file."""
    path = home / SECRET_FILE
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        draft = home / f"{SECRET_FILE}.{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        # Of several workers the first wins, and none ever reads a half-written secret.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return OctKey.import_key(path.read_bytes())


def issue(key: OctKey, key_id: str, purpose: str, *, now: datetime) -> str:
    """A signed token for one key and one purpose: ``session``, ``link`` or ``feed``."""
    claims = {"sub": key_id, "aud": purpose, "exp": int((now + LASTS[purpose]).timestamp())}
    return jwt.encode({"alg": ALGORITHM}, claims, key)


def holder(key: OctKey, token: str, purpose: str, store: Store, *, now: datetime) -> Caller | None:
    """Whose token it is; None for one that is forged, expired, or of a key that no longer works.

    Raises
    ------
    StoreUnavailableError
        If the store cannot be asked.
    """
    try:
        claims = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError):
        return None
    ends = claims.get("exp")
    if claims.get("aud") != purpose or not isinstance(ends, int) or ends <= now.timestamp():
        return None
    return holder_of(store, str(claims.get("sub")), now=now)
