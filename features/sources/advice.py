"""What people are told who import their own tables, where something is not as it was expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from json import dumps
from pathlib import Path

from features.records import Change
from features.request import CHANGE_TYPES

GUIDE = "docs/csv-mapping.md"

_WHERE = f"in the mapping file (mapping.toml in the folder or --mapping FILE; see {GUIDE})"

HOW_TO_NAME_A_ZONE = f'set timezone = "Europe/Berlin", or whichever it is, under [source] {_WHERE}'

_TIME_FORMATS = (
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%Y%m%d%H%M%S",
)
"""Formats that can be told from an example; of 03/04/2026 nobody can say which is the month."""

_MOST_VALUES = 5
"""Change types that are named in the report."""


def no_changes(folder: Path) -> str:
    """Why a folder cannot be imported that holds no table of changes."""
    return (
        f"expected changes.csv or changes.parquet in {folder}, found neither. If your files or "
        "columns are called otherwise, say so in a mapping file, mapping.toml in the folder or "
        f'--mapping FILE: [changes] file = "…"; {GUIDE} has a complete example'
    )


def no_column(file: str, table: str, field: str, options: Iterable[str], header: list[str]) -> str:
    """Why a file cannot be imported that has no column for a required field."""
    return (
        f"{file}: expected a column for {' or '.join(sorted(options))}; it has "
        f"{', '.join(header)}. Name it in the mapping file: [{table}.columns] "
        f'{field} = "…" (mapping.toml in the folder or --mapping FILE; {GUIDE} has a complete '
        "example)"
    )


def example(file: str, column: str | None, text: str) -> str:
    """Where a value stands that cost its row, and the value."""
    return f"column {column!r} of {file}, e.g. {text[:60]!r}"


def how_to_read_times(text: str, time_format: str | None, *, zone_known: bool) -> str:
    """How to say in the mapping file what times look like.

    Parameters
    ----------
    text : str
        A time that could not be read.
    time_format : str or None
        The format in the mapping file.
    zone_known : bool
        Whether the mapping file names a time zone.
    """
    found = next((known for known in _TIME_FORMATS if _reads(text, known)), None)
    if found is None:
        said = f'time_format = "{_TIME_FORMATS[0]}" for times like 05.01.2026 10:00'
    else:
        said = f'time_format = "{found}"'
    zone = "" if zone_known else ' and timezone = "Europe/Berlin", or whichever is theirs,'
    now = "" if time_format is None else f"; it has {time_format!r} now"
    return f"if the times are written like this, set {said}{zone} under [source] {_WHERE}{now}"


def _reads(text: str, time_format: str) -> bool:
    try:
        datetime.strptime(text, time_format)  # noqa: DTZ007
    except ValueError:
        return False
    return True


def unknown_types(changes: Iterable[Change]) -> str | None:
    """A note on changes whose type the features do not tell apart; None if there are none.

    Parameters
    ----------
    changes : iterable of Change
        Revisions; of each change the last counts.
    """
    last = {change.change_id: change.change_type for change in changes}
    unknown = Counter(
        kind for kind in last.values() if kind and kind.strip().lower() not in CHANGE_TYPES
    )
    if not unknown:
        return None
    count = unknown.total()
    what = "change has a type" if count == 1 else "changes have types"
    few = unknown.most_common(_MOST_VALUES)
    values = ", ".join(f"{value[:60]!r} ({times:,})" for value, times in few)
    more = f" and {len(unknown) - len(few):,} more" if len(unknown) > len(few) else ""
    return (
        f"changes.change_type: {count:,} {what} that no feature tells apart, other than "
        f"{', '.join(CHANGE_TYPES)}: {values}{more}; say which of these they are: "
        f'[changes.values.change_type] {dumps(few[0][0][:60], ensure_ascii=False)} = "…" {_WHERE}'
    )
