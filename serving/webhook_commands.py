"""Commands about webhooks out: who is told, what could not be delivered, trying again."""

from __future__ import annotations

import base64
import os
import secrets
import uuid
from typing import TYPE_CHECKING

import rich_click as click

from features.console import pairs, show
from features.options import JSON, now, store_of
from features.settings import Settings

if TYPE_CHECKING:
    from serving.subscriptions import Endpoint

SECRET_BYTES = 32


@click.group()
def webhooks() -> None:
    """Signed messages to other systems: what was scored, decided and promoted.

    The endpoints are in CHANGERISK_HOME/webhooks.toml, their secrets in the environment. See
    docs/webhooks-out.md.
    """


@webhooks.command("list")
@JSON
@click.pass_obj
def webhooks_list(settings: Settings, as_json: bool) -> None:
    """List the endpoints with what waits, was delivered and was given up."""
    from features import instants
    from serving.subscriptions import load

    endpoints = {one.name: one for one in load(settings.home, os.environ)}
    with store_of(settings).outbox() as outbox:
        counts, oldest = outbox.counts(), outbox.oldest_waiting()
    rows = []
    for name in sorted({*endpoints, *counts}):
        one, moment = endpoints.get(name), instants.from_micros(oldest.get(name))
        rows.append(
            {
                "endpoint": name,
                "host": None if one is None else one.host,
                "events": [] if one is None else sorted(one.events),
                **counts.get(name, {}),
                "oldest_waiting": None if moment is None else moment.isoformat(),
            }
        )
    lines = [
        f"{row['endpoint']}  {row['host'] or 'no longer in the file'}  "
        f"{pairs(counts.get(str(row['endpoint']), {}))}"
        for row in rows
    ]
    show({"endpoints": rows}, as_json, lines or ["no endpoint: docs/webhooks-out.md"])


@webhooks.command("dead")
@click.option("--endpoint", help="Only of this one.")
@JSON
@click.pass_obj
def webhooks_dead(settings: Settings, endpoint: str | None, as_json: bool) -> None:
    """List the messages that were given up, with the last failure."""
    with store_of(settings).outbox() as outbox:
        found = outbox.dead(endpoint)
    rows = [
        {**row, **{name: _iso(row[name]) for name in ("created_at", "due_at", "ended_at")}}
        for row in found
    ]
    lines = [
        f"{row['event_id']}  {row['endpoint']}  {row['type']}  {row['ended_at']}  "
        f"{row['attempts']} attempts  {row['outcome']}"
        for row in rows
    ]
    show({"dead": rows}, as_json, lines or ["none"])


@webhooks.command("retry")
@click.argument("event_id", required=False)
@click.option("--endpoint", help="Only of this endpoint.")
@click.option("--all", "everything", is_flag=True, help="All that were given up.")
@JSON
@click.pass_obj
def webhooks_retry(
    settings: Settings,
    event_id: str | None,
    endpoint: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Let messages that were given up be tried again: one, those of an endpoint, or all.

    The service sends them, with the same webhook-id as before.
    """
    if (event_id is None and endpoint is None) != everything:
        raise click.UsageError("expected an EVENT_ID, --endpoint or --all")
    from features import instants

    with store_of(settings).outbox(writing=True) as outbox:
        count = outbox.retry(now=instants.to_micros(now()), endpoint=endpoint, event_id=event_id)
    show({"retried": count}, as_json, [f"{count:,} will be tried again"])
    if event_id is not None and not count:
        raise SystemExit(1)


@webhooks.command("test")
@click.argument("endpoint")
@JSON
@click.pass_obj
def webhooks_test(settings: Settings, endpoint: str, as_json: bool) -> None:
    """Send ENDPOINT a signed test message at once. Exit code 1 where it was not taken."""
    from serving.events import SOURCE, Told
    from serving.sending import send

    one, moment = _endpoint(settings, endpoint), now()
    told = Told(
        event_id=str(uuid.uuid4()),
        name="test",
        subject=endpoint,
        time=moment,
        seq=0,
        data={"endpoint": endpoint},
    )
    source = os.environ.get("CHANGERISK_PUBLIC_URL") or SOURCE
    reply = send(one, told.event_id, told.body(source), now=moment)
    result = {"endpoint": endpoint, "webhook_id": told.event_id, "taken": reply.taken}
    word = "taken" if reply.taken else "NOT taken"
    show({**result, "outcome": reply.outcome}, as_json, [f"{word}: {reply.outcome}"])
    if not reply.taken:
        raise SystemExit(1)


@webhooks.command("deliver")
@click.argument("endpoint")
@JSON
@click.pass_obj
def webhooks_deliver(settings: Settings, endpoint: str, as_json: bool) -> None:
    """Send ENDPOINT what is due now, where no service runs that does so."""
    from serving.courier import Courier
    from serving.events import SOURCE

    store, one = store_of(settings), _endpoint(settings, endpoint)
    source = os.environ.get("CHANGERISK_PUBLIC_URL") or SOURCE
    courier = Courier(one, lambda: store, now, source=source)
    while courier.round():
        pass
    with store.outbox() as outbox:
        counts = outbox.counts()[endpoint]
    show({"endpoint": endpoint, **counts}, as_json, [f"{endpoint}: {pairs(counts)}"])


@webhooks.command("secret")
def webhooks_secret() -> None:
    """Make a secret for an endpoint, as Standard Webhooks writes them. It is kept nowhere."""
    made = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    click.echo(f"whsec_{made}")


def _endpoint(settings: Settings, name: str) -> Endpoint:
    from serving.subscriptions import load

    known = {one.name: one for one in load(settings.home, os.environ)}
    if name not in known:
        listed = ", ".join(known) or "none"
        raise click.UsageError(f"there is no endpoint {name!r}; known are {listed}")
    return known[name]


def _iso(micros: int | None) -> str | None:
    from features import instants

    moment = instants.from_micros(micros)
    return None if moment is None else moment.isoformat()
