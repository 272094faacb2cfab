"""Reading an ITSM again and again: from where the last run ended, a page and a commit at a time.

The place reached is kept only after a page is committed, so that a run that breaks off is resumed
by the next one. Every run begins a little before that place, since rows may appear late with an
earlier time; what is on record already is not stored again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from features.progress import Progress, silent
from features.records import Record
from features.sources.patience import ForbiddenError
from features.sources.vendor import Oddities, Reference
from features.store import Store

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of rows as records.

    Parameters
    ----------
    rows : int
        Rows of the ITSM it was made of.
    until : datetime
        Everything updated before is in this page or an earlier one.
    """

    rows: int
    records: tuple[Record, ...]
    references: tuple[Reference, ...] = ()
    until: datetime


class Feed(Protocol):
    """One table of an ITSM, read in the order of its updates."""

    name: str

    def pages(self, since: datetime) -> Iterator[Page]:
        """Pages of what was updated at ``since`` or later."""
        ...


@dataclass
class SyncReport:
    """What a run read and stored.

    Parameters
    ----------
    rows : counter
        Rows read, by feed.
    stored : counter
        New facts, by table.
    until : mapping of str to str
        The place reached, by feed.
    odd : counter
        Odd values, by code and field.
    """

    system: str
    dry_run: bool = False
    rows: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    until: dict[str, str] = field(default_factory=dict)
    odd: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The report for people, a line each."""
        word = "would store" if self.dry_run else "new"
        found = [f"read: {_pairs(self.rows)}", f"{word}: {_pairs(self.stored)}"]
        found += [f"{name}: up to {until}" for name, until in self.until.items()]
        found += [f"odd: {what}, {count:,} times" for what, count in self.odd.most_common(20)]
        return found + [f"note: {note}" for note in self.notes]


def _pairs(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "nothing"


def synchronise(
    store: Store,
    system: str,
    feeds: Iterable[Feed],
    *,
    now: Callable[[], datetime],
    odd: Oddities,
    overlap: timedelta,
    since: datetime | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> SyncReport:
    """Read every feed from where the last run ended and store what is new.

    Parameters
    ----------
    now : callable
        Gives the time of each write.
    since : datetime, optional
        Begin here instead.
    dry_run : bool
        Read and count, but store nothing and stay at the place reached.

    Raises
    ------
    VendorError
        If the ITSM could not be asked; what was committed stays.
    StoreUnavailableError
        If the store cannot be used.
    """
    report = SyncReport(system=system, dry_run=dry_run)
    for feed in feeds:
        setting = f"sync/{system}/{feed.name}"
        reached = _reached(store.setting(setting), now())
        begin = since or (EPOCH if reached is None else max(reached - overlap, EPOCH))
        try:
            for page in feed.pages(begin):
                report.rows[feed.name] += page.rows
                progress(f"{system} {feed.name}", report.rows[feed.name], None)
                read_at = now()
                _keep(store, system, page, report, read_at)
                # A clock that is ahead there must not let later rows be passed over here.
                until = min(page.until, read_at)
                reached = max(until, reached or until)
                if not dry_run:
                    store.set_setting(setting, {"until": reached.isoformat()})
        except ForbiddenError as error:
            report.notes.append(f"{feed.name} was left out: {error}")
            continue
        if reached is not None:
            report.until[feed.name] = reached.isoformat()
    for oddity in odd:
        report.odd[f"{oddity.code}: {oddity.text}"] += 1
    return report


def _keep(store: Store, system: str, page: Page, report: SyncReport, now: datetime) -> None:
    if report.dry_run:
        report.stored.update(type(record).__name__.lower() for record in page.records)
        return
    with store.write(f"sync {system}", now=now) as writer:
        writer.references.learn(system, ((r.kind, r.ref_id, r.name) for r in page.references))
        report.stored.update(writer.add_news([_known_by(now, one) for one in page.records]))


def _known_by(now: datetime, record: Record) -> Record:
    """A fact with the moment it was known at, which is past: it has been read."""
    return replace(record, known_at=now) if record.known_at > now else record


def _reached(setting: Any, now: datetime) -> datetime | None:
    return None if setting is None else min(datetime.fromisoformat(setting["until"]), now)
