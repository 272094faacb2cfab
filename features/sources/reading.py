"""What one reading of a source found: rows, rejects and how well each field is filled."""

from __future__ import annotations

import codecs
import contextlib
import io
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.columns import kinds
from features.errors import ChangeRiskError
from features.progress import Progress
from features.records import Record

BLOCK = 1 << 16
"""Bytes of a text file that are looked at together."""


class SourceError(ChangeRiskError):
    """A source cannot be read at all; the message says what was expected and what came."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A row that could not become a record, kept so that it can be mended and read again.

    Parameters
    ----------
    row : int
        Line of the file, the header being line 1; in a Parquet file the row, counted from 1.
    """

    file: str
    row: int
    reason: str
    content: Mapping[str, Any]


@dataclass
class Reading:
    """The account a source keeps while it reads.

    Parameters
    ----------
    progress : callable
        Told of every stage; see ``Progress``.
    options : mapping
        Settings of the source, such as the path of a mapping file.
    rows_read : mapping of str to int
        Number of rows by file.
    rejected : list
        Rows that could not be used, with file, row, reason and content.
    hints : dict of str to str
        An example and a way out, by the reason of a rejection.
    notes : list of str
        What people should know about the export.
    label : str or None
        The label that the export itself asks for; None leaves the source's usual one.
    """

    progress: Progress = lambda _stage, _done, _total: None
    options: Mapping[str, Any] = field(default_factory=dict)
    rows_read: Counter[str] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)
    hints: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    label: str | None = None

    def reject(self, file: str, row: int, reason: str, content: Mapping[str, Any]) -> None:
        """Keep a row that could not be read, with the reason.

        Parameters
        ----------
        file : str
            Where it was.
        row : int
            Number of the row.
        reason : str
            What is wrong with it.
        content : object
            The row itself.
        """
        plain = {k: None if _empty(v) else _plain(v) for k, v in content.items()}
        self.rejected.append(Rejected(file=file, row=row, reason=reason, content=plain))


def _empty(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NaT


def _plain(value: object) -> object:
    return value if isinstance(value, (str, int, float, bool)) else str(value)


def coverage(records: list[Record]) -> dict[str, dict[str, float]]:
    """Share of records in which each field is filled, by record type and field."""
    by_type: dict[type, list[Record]] = defaultdict(list)
    for record in records:
        by_type[type(record)].append(record)
    return {
        kind.__name__: {
            name: sum(_filled(getattr(row, name)) for row in rows) / len(rows)
            for name in kinds(kind)
        }
        for kind, rows in by_type.items()
    }


def _filled(value: object) -> bool:
    return value is not None and value != () and value != {} and value != ""


def line_that_fails(path: Path, encoding: str) -> int:
    """The line with the first byte that is not of an encoding; a reader only knows its block."""
    inner = codecs.getincrementaldecoder(encoding)()
    decoder = io.IncrementalNewlineDecoder(inner, translate=True)
    line, block = 1, b""
    with path.open("rb") as file, contextlib.suppress(UnicodeError):
        while block := file.read(BLOCK):
            state = decoder.getstate()
            line += decoder.decode(block).count("\n")
    if block:
        decoder.setstate(state)
        with contextlib.suppress(UnicodeError):
            for byte in block:
                line += decoder.decode(bytes((byte,))).count("\n")
    return line
