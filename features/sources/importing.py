"""Importing: read a source, store what is new in one transaction, account for the rest."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from features.progress import Progress, silent
from features.records import Incident, Link, Record
from features.sources import bpic14, table, wikimedia
from features.sources.reading import Reading, coverage
from features.store import Store

Reader = Callable[[Path, Reading], Iterator[Record]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A kind of data this project can read.

    Parameters
    ----------
    label : str
        The label that fits it, used when the store has none yet.
    history_from : str or None
        Changes submitted before this date (ISO) have no complete history and are not trained on.
    observed_until : str or None
        From this date on the export no longer holds all incidents; labels stop there.
    """

    read: Reader
    label: str
    means: str
    history_from: str | None = None
    observed_until: str | None = None


SOURCES: dict[str, Source] = {
    "bpic14": Source(
        read=bpic14.read,
        label="incident_rise",
        means="BPI Challenge 2014: Rabobank's changes and incidents (detail_*.zip)",
        history_from="2013-11-01T00:00:00+00:00",
        # Only incidents closed by the end of March 2014 were exported: the last week is incomplete.
        observed_until="2014-03-24T00:00:00+00:00",
    ),
    "wikimedia-config": Source(
        read=wikimedia.read_config,
        label="failed",
        means="Wikimedia site configuration (mediawiki_config_*.parquet)",
        history_from="2013-01-01T00:00:00+00:00",
    ),
    "wikimedia-puppet": Source(
        read=wikimedia.read_puppet,
        label="failed",
        means="Wikimedia server configuration (puppet_*.parquet)",
        history_from="2013-01-01T00:00:00+00:00",
    ),
    "csv": Source(
        read=table.read,
        label="incident",
        means="CSV or Parquet tables of your own, see docs/csv-mapping.md",
    ),
}
"""Every source by its name on the command line."""


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import read, stored and could not use.

    Parameters
    ----------
    stored : mapping of str to int
        Facts that were new, by table; facts the store held already are not stored again.
    hints : mapping of str to str
        For reasons of ``rejected``: an example with its column, and what to do about it.
    coverage : mapping
        Share of the records read in which each field is filled, by record type.
    incidents_linked : float or None
        Share of the incidents read that some link names; None without incidents.
    """

    source: str
    rows_read: Mapping[str, int]
    records_read: Mapping[str, int]
    stored: Mapping[str, int]
    rejected: Mapping[str, int]
    rejected_file: str | None
    coverage: Mapping[str, Mapping[str, float]]
    incidents_linked: float | None
    hints: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def fault(self) -> str | None:
        """Why nothing could be imported, where rows came and all were rejected; else None."""
        if self.records_read or not self.rejected:
            return None
        reasons = "; ".join(
            f"{reason} ({count:,}){self._hint(reason)}" for reason, count in self.rejected.items()
        )
        return (
            f"expected rows that can become records, but all {sum(self.rejected.values()):,} were "
            f"rejected: {reasons}. They are kept, each with its line, in {self.rejected_file}. "
            "Nothing was imported: mend the export or the mapping file and import it again"
        )

    def _hint(self, reason: str) -> str:
        return f": {self.hints[reason]}" if reason in self.hints else ""

    def lines(self) -> list[str]:
        """The report for people, a line each."""
        lines = [f"read: {_pairs(self.rows_read)}", f"new: {_pairs(self.stored)}"]
        lines += [
            f"rejected {count:,}: {reason}{self._hint(reason)}"
            for reason, count in self.rejected.items()
        ]
        if self.rejected_file:
            share = "only a part was imported; " if self.records_read else ""
            lines.append(f"{share}rejected rows are kept in {self.rejected_file}")
        lines += [f"note: {note}" for note in self.notes]
        if self.incidents_linked is not None:
            lines.append(f"incidents that some link names: {self.incidents_linked:.1%}")
        for kind, fields in self.coverage.items():
            partly = [f"{name} {_share(share)}" for name, share in fields.items() if share < 1]
            lines.append(f"{kind}, fields not always filled: {', '.join(partly) or 'none'}")
        return lines


def _share(share: float) -> str:
    """A share below 1 in per cent, never rounded up to all or down to none."""
    return ">99%" if share > 0.99 else "<1%" if 0 < share < 0.01 else f"{share:.0%}"


def _pairs(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count) or "nothing"


def import_source(
    store: Store,
    name: str,
    path: Path,
    *,
    now: datetime,
    rejects: Path,
    progress: Progress = silent,
    options: Mapping[str, Any] | None = None,
) -> ImportReport:
    """Read a source and store the facts that are new, all together or, if interrupted, none.

    Parameters
    ----------
    name : str
        The source: ``csv``, ``bpic14`` and others.
    path : Path
        Folder of the export.
    now : datetime
        Time of the import, for the record of writes.
    rejects : Path
        Folder for the file of rejected rows (JSON lines).
    **options
        What the source can be told besides.

    Raises
    ------
    SourceError
        If the folder does not hold what the source expects.
    StoreUnavailableError
        If the store cannot be written.
    """
    source = SOURCES[name]
    reading = Reading(progress=progress, options=options or {})
    records = list(source.read(path, reading))
    with store.write(f"import {name}", now=now) as writer:
        progress("store", 0, len(records))
        stored = writer.add(records, lambda done: progress("store", done, len(records)))
        progress("store", len(records), len(records))
    if records and store.setting("source") is None:
        _settle(store, name, reading)
    return ImportReport(
        source=name,
        rows_read=dict(reading.rows_read),
        records_read=dict(Counter(type(record).__name__ for record in records)),
        stored=stored,
        rejected=dict(Counter(reject.reason for reject in reading.rejected)),
        rejected_file=_keep(reading, rejects, name),
        coverage=coverage(records),
        incidents_linked=_linked(records),
        hints=reading.hints,
        notes=reading.notes,
    )


def _settle(store: Store, name: str, reading: Reading) -> None:
    """Remember what the first source of a store implies for labels and training."""
    source = SOURCES[name]
    store.set_setting("label", {"name": reading.label or source.label})
    store.set_setting("history_from", source.history_from)
    store.set_setting("observed_until", source.observed_until)
    # Last, so that an import broken off before it is completed by the next one.
    store.set_setting("source", name)


def _keep(reading: Reading, folder: Path, name: str) -> str | None:
    """Write the rejected rows, replacing those of an earlier run of the same source."""
    path = folder / f"{name}.jsonl"
    if not reading.rejected:
        path.unlink(missing_ok=True)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    lines = io.BytesIO()
    for reject in reading.rejected:
        lines.write(orjson.dumps(reject, option=orjson.OPT_APPEND_NEWLINE))
    path.write_bytes(lines.getvalue())
    return str(path)


def _linked(records: list[Record]) -> float | None:
    incidents = {record.incident_id for record in records if isinstance(record, Incident)}
    linked = {record.incident_id for record in records if isinstance(record, Link)}
    return len(incidents & linked) / len(incidents) if incidents else None
