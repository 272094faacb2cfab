"""Who is told what: the endpoints of ``webhooks.toml``, and their secrets from the environment."""

from __future__ import annotations

import binascii
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError
from standardwebhooks import Webhook

from features.errors import ChangeRiskError
from models.faults import faults_of

NAME = "webhooks.toml"

EVENTS = (
    "change.scored",
    "change.band_changed",
    "decision.recorded",
    "outcome.recorded",
    "model.promoted",
)
"""What an endpoint can be told, see :mod:`serving.events`."""

Event = Literal[
    "change.scored",
    "change.band_changed",
    "decision.recorded",
    "outcome.recorded",
    "model.promoted",
]
Band = Literal["low", "moderate", "high", "very_high"]

LEAST_SECRET = 24
"""Bytes a secret must have (Standard Webhooks asks for 24 to 64)."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


class SubscriptionError(ChangeRiskError):
    """The endpoints cannot be used; the message names every wrong key with its path."""

    exit_code = 2


class _Endpoint(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    events: Annotated[list[Event], Field(min_length=1)] = [
        "change.band_changed",
        "decision.recorded",
        "model.promoted",
    ]
    bands: Annotated[list[Band], Field(min_length=1)] | None = None
    attempts: Annotated[int, Field(ge=1, le=50, strict=True)] = 12
    timeout_seconds: Annotated[float, Field(gt=0, le=60, strict=True)] = 10.0
    allow_http: Annotated[bool, Field(strict=True)] = False
    allow_private: Annotated[bool, Field(strict=True)] = False


class _File(RootModel[dict[str, _Endpoint]]):
    pass


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One endpoint.

    Parameters
    ----------
    events : frozenset of str
        Some of ``EVENTS``.
    bands : frozenset of str
        Events about a score are told only where it lies, or lay before, in one of these; empty for
        all.
    secrets : tuple of str
        Each signs every message: two while one is replaced by the other.
    allow_http, allow_private : bool
        Whether it may be reached without TLS, and at an address of the inner network.
    """

    name: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    events: frozenset[str]
    bands: frozenset[str]
    attempts: int
    timeout_seconds: float
    allow_http: bool
    allow_private: bool

    @property
    def host(self) -> str:
        """The host alone: the rest of an address may hold what is secret."""
        return urlsplit(self.url).hostname or ""


def load(home: Path, environment: Mapping[str, str]) -> Sequence[Endpoint]:
    """The endpoints of an organisation; none without a file.

    Parameters
    ----------
    environment : mapping
        Holds the secret of the endpoint ``board-chat`` as
        ``CHANGERISK_WEBHOOK_SECRET_BOARD_CHAT``; two with a space between them while they change.

    Raises
    ------
    SubscriptionError
        If the file is no TOML, says what cannot be, or a secret is missing.
    """
    path = home / NAME
    if not path.is_file():
        return ()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        said = _File.model_validate(content).root
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SubscriptionError(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        raise _refused(path, faults_of(error, content, _Endpoint)) from error
    faults = [fault for name, one in said.items() for fault in _faults(name, one, environment)]
    if faults:
        raise _refused(path, faults)
    return tuple(
        Endpoint(
            name=name,
            secrets=tuple(environment[secret_name(name)].split()),
            **{**one.model_dump(), "events": frozenset(one.events), "bands": _bands(one)},
        )
        for name, one in said.items()
    )


def secret_name(endpoint: str) -> str:
    """The variable of the environment that holds an endpoint's secret."""
    return f"CHANGERISK_WEBHOOK_SECRET_{endpoint.upper().replace('-', '_')}"


def _bands(one: _Endpoint) -> frozenset[str]:
    return frozenset(one.bands or ())


def _refused(path: Path, faults: Sequence[str]) -> SubscriptionError:
    return SubscriptionError("\n".join(f"{path}: {fault}" for fault in faults))


def _faults(name: str, one: _Endpoint, environment: Mapping[str, str]) -> list[str]:
    """What is wrong with an endpoint whose values are each right."""
    found = []
    if not _NAME.fullmatch(name):
        found.append(f"{name}: expected a name of small letters, digits and hyphens")
    schemes = ("https", "http") if one.allow_http else ("https",)
    try:
        url = urlsplit(one.url)
        usable = url.scheme in schemes and bool(url.hostname) and url.port != 0
    except ValueError:
        url, usable = urlsplit(""), False
    if not usable:
        found.append(
            f"{name}.url: expected an address that begins with "
            + " or ".join(f"{scheme}://" for scheme in schemes)
            + ("" if one.allow_http else " (allow_http = true lets http:// pass)")
        )
    if url.username is not None or url.password is not None:
        found.append(f"{name}.url: expected no user or password in the address")
    secrets = environment.get(secret_name(name), "").split()
    if not secrets:
        found.append(f"{name}: expected its secret in the environment, {secret_name(name)}")
    if len(secrets) > 2 or not all(map(_is_secret, secrets)):
        found.append(
            f"{name}: expected one secret or two in {secret_name(name)}, as `changerisk webhooks "
            "secret` makes them"
        )
    return found


def _is_secret(text: str) -> bool:
    """Whether a text is a secret as Standard Webhooks writes them: ``whsec_`` and base64."""
    if not text.startswith("whsec_"):
        return False
    try:
        Webhook(text)
        return len(binascii.a2b_base64(text.removeprefix("whsec_") + "==")) >= LEAST_SECRET
    except (binascii.Error, ValueError, RuntimeError):
        return False
