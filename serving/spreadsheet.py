"""Tables for spreadsheets."""

from __future__ import annotations


def cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula.

    Examples
    --------
    >>> cell("=1+1"), cell(None), cell(3)
    ("'=1+1", '', 3)
    """
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value
