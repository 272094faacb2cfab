"""One run of ``changerisk sync``: connect, read what is new, write back what is news."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from features.errors import ChangeRiskError
from features.progress import Progress
from features.settings import Settings
from features.sources.connections import Connection, load
from features.sources.sync import Feed, SyncReport, synchronise
from features.sources.vendor import Directory, Oddities
from features.store import Store
from serving.writeback import Desk, JiraDesk, ServiceNowDesk, WriteBackReport, write_back

if TYPE_CHECKING:
    from features.sources.jira_api import Jira
    from features.sources.servicenow_api import ServiceNow

LABEL = {"name": "incident"}
"""The label of a store that an ITSM fills."""


class CredentialsError(ChangeRiskError):
    """The environment does not say where the ITSM is or who asks."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run did.

    Parameters
    ----------
    written : WriteBackReport or None
        None where nothing was to be written.
    """

    read: SyncReport
    written: WriteBackReport | None

    def lines(self) -> list[str]:
        """The run for people, a line each."""
        return [*self.read.lines(), *(self.written.lines() if self.written else [])]

    def content(self) -> dict[str, Any]:
        """The run as plain values."""
        return {"read": vars(self.read), "written": self.written and vars(self.written)}


def run(
    settings: Settings,
    system: str,
    environment: Mapping[str, str],
    *,
    now: Callable[[], datetime],
    progress: Progress,
    since: datetime | None = None,
    dry_run: bool = False,
    writing: bool = False,
) -> Run:
    """Synchronise with one ITSM.

    Parameters
    ----------
    environment : mapping of str to str
        Address and credentials; see docs/connect-servicenow.md and docs/connect-jira.md.
    writing : bool
        Whether to write scores back.

    Raises
    ------
    CredentialsError
        If the environment lacks a variable.
    VendorError
        If the ITSM cannot be asked; what was committed stays.
    StoreUnavailableError
        If the store cannot be used.
    """
    connection = load(settings.home)[system]
    store = Store(settings.store_url)
    odd, names = Oddities(), Directory()
    open_ = _servicenow if system == "servicenow" else _jira
    feeds, desk = open_(store, connection, environment, now, names, odd)
    read = synchronise(
        store,
        system,
        feeds,
        now=now,
        odd=odd,
        overlap=timedelta(minutes=connection.wanted("overlap_minutes")),
        since=since,
        dry_run=dry_run,
        progress=progress,
    )
    if not dry_run and store.setting("source") is None:
        store.set_setting("label", LABEL)
        store.set_setting("source", system)
    written = None
    if writing:
        public_url = environment.get("CHANGERISK_PUBLIC_URL")
        written = write_back(
            store, system, desk, now=now, public_url=public_url, dry_run=dry_run, progress=progress
        )
    return Run(read=read, written=written)


def _servicenow(
    store: Store,
    connection: Connection,
    environment: Mapping[str, str],
    _now: Callable[[], datetime],
    names: Directory,
    odd: Oddities,
) -> tuple[list[Feed], Desk]:
    from features.sources.servicenow_api import ServiceNow
    from features.sources.servicenow_feeds import feeds
    from features.sources.servicenow_source import Source

    url = _needed(environment, "CHANGERISK_SERVICENOW_URL")
    if environment.get("CHANGERISK_SERVICENOW_CLIENT_ID"):
        client = _needed(environment, "CHANGERISK_SERVICENOW_CLIENT_ID")
        secret = _needed(environment, "CHANGERISK_SERVICENOW_CLIENT_SECRET")
        instance: ServiceNow = ServiceNow(url, client, secret, oauth=True)
    else:
        user = _needed(environment, "CHANGERISK_SERVICENOW_USER")
        password = _needed(environment, "CHANGERISK_SERVICENOW_PASSWORD")
        instance = ServiceNow(url, user, password)

    def on_record(number: str) -> bool:
        return bool(store.known_changes([number]))

    source = Source(instance, connection, on_record, names, odd)
    return feeds(source), ServiceNowDesk(store, instance, connection)


def _jira(
    store: Store,
    connection: Connection,
    environment: Mapping[str, str],
    now: Callable[[], datetime],
    names: Directory,
    odd: Oddities,
) -> tuple[list[Feed], Desk]:
    from features.sources.jira_api import Jira
    from features.sources.jira_feeds import Site, feeds

    url = _needed(environment, "CHANGERISK_JIRA_URL")
    token = _needed(environment, "CHANGERISK_JIRA_TOKEN")
    client: Jira = Jira(url, environment.get("CHANGERISK_JIRA_USER") or None, token)
    site = Site(client, connection, now, names, odd)
    site.learn_fields()
    return feeds(site), JiraDesk(store, client, connection)


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise CredentialsError(f"expected {name} in the environment; see docs/connect-*.md")
    return value
