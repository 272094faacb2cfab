"""The doctor: whether everything a score needs is there, and what to do where it is not."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from features import instants
from features.errors import ChangeRiskError
from features.history import History
from features.labels import summary
from features.policy import policy_from
from features.records import Change, Incident, Link
from features.settings import Settings
from features.store import Store
from models.policy_file import PolicyError
from models.policy_file import load as load_policy
from models.registry import Registered, reached
from serving.journal import verify
from serving.subscriptions import SubscriptionError
from serving.subscriptions import load as load_endpoints

LEAST_FREE = 1 << 30
"""Bytes of disk below which a store can no longer be counted on."""

STALE = timedelta(days=7)
"""Age of the newest fact from which a score no longer sees what is going on."""

OLD = timedelta(days=180)
"""Age of a model from which it should be trained again."""

LATE = timedelta(hours=1)
"""Age of a webhook that waits from which something is amiss."""

LEAST_LINKED = 0.005
"""Share of incidents that name a change below which links are probably not recorded."""

LEAST_CAUSED = 50
"""Changes that led to incidents below which there is little to learn from."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    check : str
        ``environment``, ``policy``, ``store``, ``keys``, ``history``, ``links``, ``label``,
        ``journal``, ``webhooks``, ``registry``, ``model``.
    outcome : str
        ``ok``, ``warning`` or ``failure``.
    text : str
        What was found.
    todo : str
        What to do about it; empty where there is nothing to do.
    """

    check: str
    outcome: str
    text: str
    todo: str = ""


Found = Iterator[Finding]

FRESH = "import again, or set up `changerisk sync`"
AGAIN = "look at the message; `changerisk doctor` again when it is mended"

MEND = {
    "registry": "check that what CHANGERISK_MLFLOW_URI names (by default mlflow.db in "
    "CHANGERISK_HOME) is there and whole; restore it from a backup, or move it away and "
    "`changerisk train`"
}
"""What to do about a check that could not be made."""


def examine(settings: Settings, *, now: datetime) -> list[Finding]:
    """All checks, in the order in which one rests on another.

    Parameters
    ----------
    now : datetime
        The moment against which ages are told.
    """
    findings = [*_environment(settings), *_policy(settings)]
    try:
        store = Store(settings.store_url)
    except ChangeRiskError as error:
        todo = "check CHANGERISK_STORE_URL and CHANGERISK_HOME, and that the database runs"
        return [*findings, Finding(check="store", outcome="failure", text=str(error), todo=todo)]
    try:
        for check in (_store, _keys, _history, _journal):
            findings += _safely(check.__name__.strip("_"), check, store, now)
        findings += _safely("webhooks", lambda *_: _webhooks(settings, store, now), store, now)
        findings += _safely("registry", lambda *_: _model(settings, store, now), store, now)
    finally:
        store.close()
    return findings


def _safely(
    name: str, check: Callable[[Store, datetime], Found], store: Store, now: datetime
) -> list[Finding]:
    try:
        return list(check(store, now))
    except ChangeRiskError as error:
        return [Finding(check=name, outcome="failure", text=str(error), todo=MEND.get(name, AGAIN))]


def _environment(settings: Settings) -> Found:
    version = importlib.metadata.version("change-risk")
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding(check="environment", outcome="ok", text=f"change-risk {version}, Python {python}")
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        yield Finding(
            check="environment",
            outcome="failure",
            text=f"{settings.home} is no folder that can be used: {error.strerror}",
            todo="name a folder in CHANGERISK_HOME, or move away what stands in its place",
        )
        return
    if not os.access(settings.home, os.W_OK):
        yield Finding(
            check="environment",
            outcome="failure",
            text=f"{settings.home} cannot be written to",
            todo="give this user the right to write there, or set CHANGERISK_HOME",
        )
    free = shutil.disk_usage(settings.home).free
    if free < LEAST_FREE:
        yield Finding(
            check="environment",
            outcome="warning",
            text=f"{free / 2**20:,.0f} MiB are free where the store is",
            todo="make room: a full disk stops the journal, and with it the scores",
        )


def _policy(settings: Settings) -> Found:
    try:
        policy = load_policy(settings.home)
    except PolicyError as error:
        todo = "mend the file (docs/policy.md); changes are scored without a route meanwhile"
        yield Finding(check="policy", outcome="failure", text=str(error), todo=todo)
        return
    text = f"version {policy.version} ({policy.source}), mode {policy.mode}"
    yield Finding(check="policy", outcome="ok", text=text)
    for oddity in policy.oddities():
        todo = "see `changerisk policy show` and docs/policy.md"
        yield Finding(check="policy", outcome="warning", text=oddity, todo=todo)


def _store(store: Store, _: datetime) -> Found:
    counts = store.counts()
    if not counts["change_revision"]:
        yield Finding(
            check="store",
            outcome="failure",
            text="the store holds no change",
            todo="`changerisk import csv DIR` (docs/csv-mapping.md), or `changerisk demo`",
        )
        return
    shown = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    source = store.setting("source")
    yield Finding(check="store", outcome="ok", text=f"{shown}; source {source}")
    if source == "demo":
        yield Finding(
            check="store",
            outcome="warning",
            text="the history is synthetic",
            todo="import your own into a CHANGERISK_HOME of its own before anybody relies on it",
        )


def _keys(store: Store, now: datetime) -> Found:
    moment = instants.to_micros(now)
    live = [
        row
        for row in store.keys.all()
        if row["revoked_at"] is None and (row["expires_at"] is None or row["expires_at"] > moment)
    ]
    if not live:
        yield Finding(
            check="keys",
            outcome="warning",
            text="no live API key",
            todo="`changerisk keys create NAME --role service`",
        )
        return
    soon = instants.to_micros(now + timedelta(days=14))
    ending = [r["name"] for r in live if r["expires_at"] is not None and r["expires_at"] < soon]
    yield Finding(check="keys", outcome="ok", text=f"{len(live)} live API keys")
    if ending:
        yield Finding(
            check="keys",
            outcome="warning",
            text=f"expiring within 14 days: {', '.join(map(str, ending))}",
            todo="make new ones with `changerisk keys create` before they do",
        )


def _history(store: Store, now: datetime) -> Found:
    history = store.load()
    if not len(history[Change]):
        return
    # Changes that came with a question for their score tell nothing of the imports.
    read_until = instants.MISSING if history.read_until is None else history.read_until
    read = instants.from_micros(int(history[Incident].times("known_at").max(initial=read_until)))
    if read is None:
        text, todo = "nothing was imported: all changes came to be scored", FRESH
    else:
        text = f"the newest change or incident imported became known {_ago(now - read)}"
        early = "check the clock here, and the time zone the export was read with"
        todo = FRESH if now - read > STALE else early if now < read else ""
    yield Finding(check="history", outcome="warning" if todo else "ok", text=text, todo=todo)
    yield from _links(history)
    yield from _label(store, history, now)


def _links(history: History) -> Found:
    incidents = len(set(history[Incident]["incident_id"]))
    if not incidents:
        yield Finding(
            check="links",
            outcome="warning",
            text="no incidents: only back-outs can tell which changes failed",
            todo="import incidents, with the change that caused each where it is known",
        )
        return
    linked = len(set(history[Link]["incident_id"]))
    few = linked / incidents < LEAST_LINKED
    yield Finding(
        check="links",
        outcome="warning" if few else "ok",
        text=f"{linked:,} of {incidents:,} incidents name a change ({linked / incidents:.1%})",
        todo="ask for the causing change when an incident is closed; few links teach who records "
        "them, not what fails"
        if few
        else "",
    )


def _label(store: Store, history: History, now: datetime) -> Found:
    policy = policy_from(**(store.setting("label") or {"name": "incident"}))
    found = summary(history, policy, as_of=now)
    few = found["caused"] < LEAST_CAUSED
    rate = "unknown" if found["base_rate"] is None else f"{found['base_rate']:.2%}"
    yield Finding(
        check="label",
        outcome="warning" if few else "ok",
        text=f"label {policy.name}: {found['caused']:,} changes {policy.means}, base rate {rate}, "
        f"{found['undecided']:,} undecided",
        todo="a longer history, more links or a wider label (`changerisk labels --help`)"
        if few
        else "",
    )


def _webhooks(settings: Settings, store: Store, now: datetime) -> Found:
    try:
        endpoints = load_endpoints(settings.home, os.environ)
    except SubscriptionError as error:
        todo = "mend the file or set the secret (docs/webhooks-out.md); nothing is sent meanwhile"
        yield Finding(check="webhooks", outcome="failure", text=str(error), todo=todo)
        return
    with store.outbox() as outbox:
        counts, oldest = outbox.counts(), outbox.oldest_waiting()
    if not endpoints and not counts:
        return
    dead = sum(one["dead"] for one in counts.values())
    late = now - (instants.from_micros(min(oldest.values())) or now) if oldest else timedelta(0)
    if dead:
        yield Finding(
            check="webhooks",
            outcome="warning",
            text=f"{dead:,} webhooks were given up",
            todo="`changerisk webhooks dead`, and `changerisk webhooks retry` when it is mended",
        )
    if late > LATE:
        yield Finding(
            check="webhooks",
            outcome="warning",
            text=f"the oldest webhook that waits was made {_ago(late)}",
            todo="`changerisk webhooks list`; the service sends them while it runs",
        )
    if not dead and late <= LATE:
        text = f"{len(endpoints)} endpoints, nothing given up"
        yield Finding(check="webhooks", outcome="ok", text=text)


def _journal(store: Store, _: datetime) -> Found:
    found = verify(store)
    if found.fault:
        yield Finding(
            check="journal",
            outcome="failure",
            text=f"the chain of hashes does not hold: {found.fault}",
            todo="restore the store from a backup; somebody or something changed past answers",
        )
    else:
        yield Finding(check="journal", outcome="ok", text=f"{found.entries:,} entries, chain holds")


def _model(settings: Settings, store: Store, now: datetime) -> Found:
    with reached(settings) as registry:
        version = registry.version_of("champion")
        if version is None:
            yield Finding(
                check="model",
                outcome="failure",
                text="the registry has no champion: nothing is scored",
                todo="`changerisk train`",
            )
            return
        registered = registry.load(version)
        challenger = registry.version_of("challenger")
    yield Finding(check="registry", outcome="ok", text=f"champion is version {version}")
    yield from _age(registered, store, now)
    if challenger is not None and int(challenger) > int(version):
        yield Finding(
            check="registry",
            outcome="warning",
            text=f"version {challenger} waits to be compared",
            todo="`changerisk promote --dry-run`",
        )


def _age(registered: Registered, store: Store, now: datetime) -> Found:
    model = registered.model
    age = now - model.history_until
    old = age > OLD
    yield Finding(
        check="model",
        outcome="warning" if old else "ok",
        text=f"version {registered.version} learnt from facts up to {_ago(age)}",
        todo="`changerisk train`, then `changerisk promote --dry-run`" if old else "",
    )
    stored = store.setting("label")
    if stored and stored["name"] != model.policy.name:
        yield Finding(
            check="model",
            outcome="warning",
            text=f"the model tells the label {model.policy.name!r}, the store is set to "
            f"{stored['name']!r}",
            todo="train again for the label of the store, or import with the other one",
        )


def _ago(age: timedelta) -> str:
    if age < timedelta(0):
        return "in the future of this machine's clock"
    if age < timedelta(days=2):
        return f"{age / timedelta(hours=1):.0f} hours ago"
    return f"{age.days:,} days ago"
