"""Commands that fill the store, and tell it where the organisation is."""

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

    Rows that cannot be read are rejected and kept in CHANGERISK_HOME/rejected with the reason; the
    others are imported. Where no row at all can be read the exit code is 2.

    \b
      bpic14            BPI Challenge 2014, Rabobank's changes and incidents
      wikimedia-config  Wikimedia's site configuration changes
      wikimedia-puppet  Wikimedia's server configuration changes
      csv               CSV or Parquet tables of your own
    """  # noqa: D301 - \b keeps the lines as they are
    from features.sources import SourceError, import_source

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
    if (fault := report.fault()) is not None:
        raise SourceError(fault)


@click.command()
@click.option("--country", help="Whose public holidays are kept: ISO 3166-1, such as DE.")
@click.option("--subdivision", help="State or region with holidays of its own, such as BY.")
@click.option("--timezone", help="IANA name, such as Europe/Berlin.")
@click.option("--nowhere", is_flag=True, help="Forget all three.")
@JSON
@click.pass_obj
def place(
    settings: Settings,
    country: str | None,
    subdivision: str | None,
    timezone: str | None,
    nowhere: bool,
    as_json: bool,
) -> None:
    """Show or set where the organisation is: its public holidays and its local time.

    Without options it shows what is set. What is not set is not guessed: the features that need it
    stay empty. A model keeps the place it was trained with; train again after a change.
    """
    from dataclasses import asdict

    from features.place import Place

    given = {"country": country, "subdivision": subdivision, "timezone": timezone}
    said = {name: value for name, value in given.items() if value is not None}
    if nowhere and said:
        raise click.UsageError("--nowhere goes with none of the others")
    store = store_of(settings)
    kept = store.setting("place") or {}
    if country is not None and subdivision is None:
        kept = {name: value for name, value in kept.items() if name != "subdivision"}
    try:
        found = Place() if nowhere else Place.of({**kept, **said})
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if nowhere or said:
        store.set_setting("place", asdict(found))
    lines = [f"{name}: {value or 'not set'}" for name, value in asdict(found).items()]
    show(asdict(found), as_json, lines)


@click.command("features")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the page docs/features.md.")
@JSON
def features_(as_markdown: bool, as_json: bool) -> None:
    """List every feature a model may see: its factor group, what it counts and how it reads."""
    from dataclasses import asdict

    from features.catalogue import CATALOGUE
    from features.catalogue.reference import example, markdown

    if as_markdown:
        click.echo(markdown(), nl=False)
        return
    rows = [{**asdict(feature), "example": example(feature)} for feature in CATALOGUE]
    lines = [f"{row['name']} ({row['group']}): {row['example']}" for row in rows]
    show({"features": rows}, as_json, lines)


COMMANDS = (import_, place, features_)
