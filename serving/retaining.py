"""What becomes of old journal entries: exported, kept in an archive, removed on record."""

from __future__ import annotations

import csv
import io
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

import orjson

from features import instants
from features.errors import ChangeRiskError
from features.store import Store
from features.store.chain import JournalEntry
from features.store.retention import KIND, digest_of, runs_of
from serving.journal import Verification, fault_of, hash_of
from serving.spreadsheet import cell

LEAST_AGE = timedelta(days=90)
"""Younger entries are never removed: outcomes still come in and the model is judged by them."""

COLUMNS = (
    "seq", "entry_id", "kind", "change_id", "written_at", "written_at_micros", "previous_hash",
    "hash", "body",
)  # fmt: skip
"""What an exported entry says."""


class RetentionError(ChangeRiskError):
    """Entries cannot be removed as asked."""

    exit_code = 2


class ExportError(ChangeRiskError):
    """A file is no export of a journal."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What was removed, or would be.

    Parameters
    ----------
    before : str
        Entries about changes with nothing since were old enough.
    by_kind : mapping of str to int
        Entries by kind.
    head : str or None
        Hash of the journal's last entry, which tells of the removal; None where nothing was done.
    """

    before: str
    entries: int
    changes: int
    by_kind: dict[str, int]
    dry_run: bool
    retention_id: str | None = None
    head: str | None = None

    def content(self) -> dict[str, Any]:
        """The removal as plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The removal for people, a line each."""
        word = "would remove" if self.dry_run else "removed"
        found = [f"{word} {self.entries:,} entries about {self.changes:,} changes, from before "
                 f"{self.before[:10]}"]  # fmt: skip
        found += [f"  {kind}: {count:,}" for kind, count in sorted(self.by_kind.items())]
        if self.head is not None:
            found.append(f"on record as {self.retention_id}; head {self.head}")
        return found


def retain(
    store: Store,
    *,
    older_than: timedelta,
    now: datetime,
    by: str,
    reason: str,
    archive: Path | None = None,
    dry_run: bool = False,
) -> Removal:
    """Remove the entries about changes with nothing younger, and put that on record.

    Parameters
    ----------
    archive : Path, optional
        A new file that gets the entries first, a JSON object each; it is on the disk before
        anything is removed.

    Raises
    ------
    RetentionError
        If younger entries than ``LEAST_AGE`` are meant, or the archive is there already.
    """
    if older_than < LEAST_AGE:
        raise RetentionError(
            f"expected at least {LEAST_AGE.days} days: outcomes of younger changes still come in"
        )
    before, moment = instants.to_micros(now - older_than), instants.to_micros(now)
    retention_id, by_kind, changes = str(uuid.uuid4()), dict[str, int](), set[str]()
    with store.write("retention", now=now) as writer:
        rows = []
        for row in writer.retention.old(before, moment):
            by_kind[row["kind"]] = by_kind.get(row["kind"], 0) + 1
            changes.update(filter(None, [row["change_id"]]))
            rows.append({name: row[name] for name in ("seq", "previous_hash", "hash")})
        runs = runs_of(rows, retention_id)
        said = Removal(
            before=(now - older_than).isoformat(),
            entries=len(rows),
            changes=len(changes),
            by_kind=by_kind,
            dry_run=dry_run,
        )
        if dry_run or not rows:
            return said
        if archive is not None:
            _archived(store, archive, {row["seq"] for row in rows})
        body = {
            "before": said.before,
            "entries": said.entries,
            "by_kind": by_kind,
            "anchors": digest_of(runs),
            "by": {"name": by},
            "reason": reason,
            "archive": None if archive is None else archive.name,
        }
        # First the entry, which follows the last one there is; then they go.
        head = writer.append_journal(retention_id, KIND, None, body)
        writer.retention.remove(runs)
    store.checkpoint()
    return Removal(**{**said.content(), "retention_id": retention_id, "head": head.hash})


def _archived(store: Store, archive: Path, wanted: set[int]) -> None:
    try:
        with archive.open("xb") as file:
            entries = (entry for entry in store.journal_entries() if entry.seq in wanted)
            write_jsonl(file, entries)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RetentionError(f"the archive {archive} cannot be written: {error}") from error


# out ---------------------------------------------------------------------------------------------


def exported(entry: JournalEntry) -> dict[str, Any]:
    """An entry with all that is needed to compute its hash again."""
    return {
        "seq": entry.seq,
        "entry_id": entry.entry_id,
        "kind": entry.kind,
        "change_id": entry.change_id,
        "written_at": entry.written_at.isoformat(),
        "written_at_micros": instants.to_micros(entry.written_at),
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
        "body": entry.body,
    }


def write_jsonl(file: IO[bytes], entries: Iterable[JournalEntry]) -> int:
    """Write entries, a JSON object a line, as they are read; how many."""
    count = 0
    for entry in entries:
        options = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        file.write(orjson.dumps(exported(entry), option=options))
        count += 1
    return count


def write_csv(file: IO[bytes], entries: Iterable[JournalEntry]) -> int:
    """Write entries as CSV with the body as JSON text, as they are read; how many."""
    count = 0
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    try:
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        for entry in entries:
            row = exported(entry)
            body = orjson.dumps(entry.body, option=orjson.OPT_SORT_KEYS).decode()
            writer.writerow([cell(value) for value in {**row, "body": body}.values()])
            count += 1
    finally:
        text.detach()
    return count


def output(path: Path | None, standard: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    """The file an export goes to, which must be new; standard output without one.

    Raises
    ------
    ExportError
        If the file is there already or cannot be made.
    """
    if path is None:
        return nullcontext(standard)
    try:
        return path.open("xb")
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}") from error


# and in again ------------------------------------------------------------------------------------


def verify_export(lines: Iterable[bytes]) -> Verification:
    """Compute every hash of an export in JSON lines again, without the store it comes from.

    What an export left out is no fault; an entry that follows another must fit it.

    Raises
    ------
    ExportError
        If a line is no exported entry.
    """
    count, removed, head, last = 0, 0, "", 0
    for number, line in enumerate(lines, start=1):
        entry = _entry(line, number)
        if entry.seq <= last:
            fault = f"entry {entry.seq} is out of order"
            return Verification(entries=count, removed=removed, head=head, fault=fault)
        follows = entry.seq == last + 1 and count > 0
        before = head if follows else entry.previous_hash
        found = fault_of(entry, entry.seq, before)
        if found is not None:
            return Verification(entries=count, removed=removed, head=head, fault=found)
        removed += 0 if follows or not count else entry.seq - last - 1
        count, head, last = count + 1, entry.hash, entry.seq
    return Verification(entries=count, removed=removed, head=head, fault=None)


def _entry(line: bytes, number: int) -> JournalEntry:
    try:
        said: Mapping[str, Any] = orjson.loads(line)
        written_at = instants.from_micros(said["written_at_micros"])
        if written_at is None or written_at.isoformat() != said["written_at"]:
            raise ValueError("two times that differ")
        values = {name: said[name] for name in COLUMNS if not name.startswith("written_at")}
        entry = JournalEntry(**values, written_at=written_at)
        hash_of(entry)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ExportError(f"line {number} is no exported entry ({error})") from error
    return entry


def entries_between(
    store: Store,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    kinds: Iterable[str] = (),
    change_id: str | None = None,
) -> Iterator[JournalEntry]:
    """The entries of a span, of some kinds or about one change, in order, read as consumed.

    Parameters
    ----------
    since, until : datetime, optional
        Written at or after the first, and before the second.
    """
    wanted = set(kinds)
    for entry in store.journal_entries(change_id=change_id):
        if (
            (since is None or entry.written_at >= since)
            and (until is None or entry.written_at < until)
            and (not wanted or entry.kind in wanted)
        ):
            yield entry
