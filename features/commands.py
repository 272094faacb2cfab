"""Commands that fill the store."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from features.console import progress_bars, show
from features.options import JSON, now, store_of
from features.settings import Settings

SOURCE_NAMES = ("bpic14", "csv", "wikimedia-config", "wikimedia-puppet")
"""Names of ``features.sources.SOURCES``, which takes seconds to import."""


@click.command("import")
@click.argument("source", type=click.Choice(SOURCE_NAMES))
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="csv only: which column holds which field (see docs/csv-mapping.md).",
)
@JSON
@click.pass_obj
def import_(
    settings: Settings, source: str, path: Path, mapping: Path | None, as_json: bool
) -> None:
    """Read an export into the store; what is there already is not stored again.

    \b
      bpic14            BPI Challenge 2014, Rabobank's changes and incidents
      wikimedia-config  Wikimedia's site configuration changes
      wikimedia-puppet  Wikimedia's server configuration changes
      csv               CSV or Parquet tables of your own
    """  # noqa: D301 - \b keeps the lines as they are
    from features.sources import import_source

    if mapping is not None and source != "csv":
        raise click.UsageError("--mapping goes with the source csv only")
    store = store_of(settings)
    with progress_bars() as progress:
        report = import_source(
            store,
            source,
            path,
            now=now(),
            rejects=settings.home / "rejected",
            progress=progress,
            options={} if mapping is None else {"mapping": mapping},
        )
    show(vars(report), as_json, report.lines())


COMMANDS = (import_,)
