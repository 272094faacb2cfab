"""Commands of those who audit: verify, replay, export, and what becomes of old entries."""

from __future__ import annotations

import getpass
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

import rich_click as click

from features.console import show, tell
from features.options import JSON, MOMENT, aware, now, store_of
from features.settings import Settings


@click.group()
def audit() -> None:
    """The journal of every answer given."""


@audit.command("verify")
@click.argument("file", required=False, type=click.File("rb"))
@JSON
@click.pass_obj
def audit_verify(settings: Settings, file: IO[bytes] | None, as_json: bool) -> None:
    """Recompute the journal's chain of hashes, or that of FILE, an export in JSON lines."""
    from serving.journal import verify
    from serving.retaining import verify_export

    found = verify(store_of(settings)) if file is None else verify_export(file)
    word = f"broken: {found.fault}" if found.fault else "the chain holds"
    gone = f" and {found.removed} {'left out' if file else 'removed on record'}"
    count = f"{found.entries} entries{gone if found.removed else ''}"
    show(vars(found), as_json, [f"{count}, {word}; head {found.head}"])
    if found.fault:
        raise SystemExit(1)


@audit.command("replay")
@click.argument("score_id")
@JSON
@click.pass_obj
def audit_replay(settings: Settings, score_id: str, as_json: bool) -> None:
    """Compute a past answer again from the history and the model of its time, bit for bit."""
    from models.registry import reached
    from serving.replay import replay

    store = store_of(settings)
    with reached(settings) as registry:
        found = replay(store, registry, score_id)
    word = "equal, bit for bit" if found.equal else f"differs in {', '.join(found.differences)}"
    show(vars(found), as_json, [f"{score_id}: {word}"])
    if not found.equal:
        raise SystemExit(1)


@audit.command("export")
@click.option("--since", type=MOMENT, help="Only entries written since.")
@click.option("--until", type=MOMENT, help="Only entries written before.")
@click.option("--kind", "kinds", multiple=True, help="Only of this kind, such as score (repeat).")
@click.option("--change", "change_id", help="Only about this change.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="jsonl can be verified without the store.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A new file.  [default: stdout]",
)
@click.pass_obj
def audit_export(
    settings: Settings,
    since: datetime | None,
    until: datetime | None,
    kinds: tuple[str, ...],
    change_id: str | None,
    form: str,
    out: Path | None,
) -> None:
    """Write journal entries out, one after another: any number in little memory."""
    from serving.retaining import entries_between, output, write_csv, write_jsonl

    entries = entries_between(
        store_of(settings),
        since=aware(since),
        until=aware(until),
        kinds=kinds,
        change_id=change_id,
    )
    with output(out, sys.stdout.buffer) as file:
        count = write_csv(file, entries) if form == "csv" else write_jsonl(file, entries)
    tell(f"{count:,} entries")


@audit.command("retain")
@click.option("--older-than", required=True, help="Age in days, such as 730d; at least 90d.")
@click.option("--reason", help="Why, in words: kept in the journal. Needed unless --dry-run.")
@click.option("--by", help="Who decides.  [default: the user of this machine]")
@click.option(
    "--archive",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A new file that gets the entries, in JSON lines, before they are removed.",
)
@click.option("--dry-run", is_flag=True, help="Remove nothing; say what would be.")
@JSON
@click.pass_obj
def audit_retain(
    settings: Settings,
    older_than: str,
    reason: str | None,
    by: str | None,
    archive: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove old journal entries for good, so that the chain still holds.

    All entries about a change go together, once the youngest is old enough and its window is over.
    What is removed, by whom and why becomes an entry. Promotions are never removed. See
    docs/audit.md.
    """
    from serving.retaining import retain

    days = older_than.strip().removesuffix("d")
    if not (days.isascii() and days.isdecimal() and len(days) < 7):
        raise click.UsageError(f"--older-than: expected days such as 730d, got {older_than!r}")
    if not reason and not dry_run:
        raise click.UsageError("--reason: expected why they are removed, or --dry-run")
    done = retain(
        store_of(settings),
        older_than=timedelta(days=int(days)),
        now=now(),
        by=by or getpass.getuser(),
        reason=reason or "",
        archive=archive,
        dry_run=dry_run,
    )
    show(done.content(), as_json, done.lines())
