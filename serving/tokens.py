"""Bearer tokens of an OpenID Connect provider: JWTs verified against its published keys.

Only asymmetric signatures are accepted, so that nobody can sign with what is public.
"""

from __future__ import annotations

import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from features.settings import Settings
from features.store import StoreUnavailableError
from serving.access import MAY
from serving.keys import Caller

_log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")

LEEWAY_SECONDS = 60
"""How far the provider's clock may be from ours."""

KEPT_SECONDS = 600
"""How long fetched keys are used before they are fetched again."""

AGAIN_SECONDS = 30
"""How long after a fetch a key id nobody knows causes another."""

MOST_BYTES = 1_000_000

_RANK = ("admin", "approver", "data_scientist", "requester", "auditor", "service")


class Tokens:
    """Verifies the tokens of one provider.

    Parameters
    ----------
    settings : Settings
        With the provider's keys, issuer and audience.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._read_at = 0.0

    @property
    def accepted(self) -> bool:
        """Whether there is a provider whose tokens are accepted."""
        return self._settings.oidc_jwks is not None

    def caller(self, token: str, *, now: datetime) -> Caller | None:
        """Whose token it is; None for one that is forged, expired, for others or without a role.

        Raises
        ------
        StoreUnavailableError
            If the provider's keys cannot be read.
        """
        claims = self._claims(token)
        if claims is None or not self._fits(claims, now.timestamp()):
            return None
        roles = [role for role in _RANK if role in _listed(_at(claims, self._settings.oidc_roles))]
        subject = claims.get("sub")
        if not roles or not isinstance(subject, str) or not subject:
            return None
        names = [claims.get(name) for name in ("preferred_username", "name", "email")]
        known = [name for name in names if isinstance(name, str) and name.strip()]
        return Caller(
            key_id=f"oidc:{subject}",
            name=known[0] if known else subject,
            role=roles[0],
            also=(subject, *known[1:]),
            granted=frozenset().union(*(MAY[role] for role in roles)),
        )

    def _claims(self, token: str) -> Mapping[str, Any] | None:
        """The claims of a token whose signature holds."""
        for fresh in (False, True):
            try:
                return jwt.decode(token, self._key_set(fresh=fresh), algorithms=ALGORITHMS).claims
            except InvalidKeyIdError:
                continue  # the provider may have changed its keys
            except (JoseError, ValueError, TypeError):
                return None
        return None

    def _fits(self, claims: Mapping[str, Any], now: float) -> bool:
        """Whether a token is of our provider, for us, and now."""
        ends, begins = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(ends, (int, float)) or not isinstance(begins, (int, float)):
            return False
        in_time = begins - LEEWAY_SECONDS <= now < ends + LEEWAY_SECONDS
        ours = self._settings.oidc_audience in _listed(claims.get("aud"))
        return in_time and ours and claims.get("iss") == self._settings.oidc_issuer

    def _key_set(self, *, fresh: bool) -> KeySet:
        with self._lock:
            age = time.monotonic() - self._read_at
            if self._keys is None or age > KEPT_SECONDS or (fresh and age > AGAIN_SECONDS):
                self._keys = self._read()
                self._read_at = time.monotonic()
            return self._keys

    def _read(self) -> KeySet:
        source = str(self._settings.oidc_jwks)
        try:
            if "://" in source:
                with urllib.request.urlopen(source, timeout=5) as answer:  # noqa: S310 - checked by Settings
                    content = answer.read(MOST_BYTES)
            else:
                content = Path(source).read_bytes()
            return KeySet.import_key_set(orjson.loads(content))
        except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
            if self._keys is not None:
                _log.warning("the provider's keys cannot be read again: %s", type(error).__name__)
                return self._keys
            raise StoreUnavailableError(
                f"the provider's keys cannot be read ({type(error).__name__}); check "
                "CHANGERISK_OIDC_JWKS"
            ) from error


def _at(claims: Mapping[str, Any], path: str) -> object:
    """A claim, nested ones by a path with dots."""
    if path in claims:
        return claims[path]
    found: object = claims
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
