"""What the commands of every package share: options, moments and the label asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import rich_click as click

from features.settings import Settings

if TYPE_CHECKING:
    from features.policy import LabelPolicy
    from features.store import Store

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
LABEL = click.option(
    "--label",
    "name",
    help="incident, failed, incident_rise, incident_24h, software_incident or burst.",
)
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%SZ"])


def now() -> datetime:
    """The time, aware, in UTC: commands read it once and pass it on."""
    return datetime.now(UTC)


def aware(moment: datetime | None) -> datetime | None:
    """A moment of the command line; without an offset it is UTC."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)


def store_of(settings: Settings) -> Store:
    """The store, opened; importing what speaks to databases takes a second."""
    from features.store import Store

    return Store(settings.store_url)


def setting_moment(store: Store, name: str) -> datetime | None:
    """A moment among the store's settings."""
    value = store.setting(name)
    return None if value is None else datetime.fromisoformat(value)


def policy_of(store: Store, name: str | None, **changed: Any) -> LabelPolicy:
    """The label asked for, else the store's own, else ``incident``.

    Raises
    ------
    click.UsageError
        If there is no such label, or a value cannot be its.
    """
    from features.policy import policy_from

    stored = store.setting("label") or {"name": "incident"}
    try:
        return policy_from(name, **changed) if name else policy_from(**{**stored, **changed})
    except ValueError as error:
        raise click.UsageError(str(error)) from error
