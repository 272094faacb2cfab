"""Progress where there is no terminal: lines that a log can hold."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from features import console


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is told on stderr."""
    buffer = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=buffer, force_terminal=False))
    return buffer


def test_a_known_length_is_told_each_tenth(said: io.StringIO) -> None:
    with console.progress_bars() as progress:
        for done in range(0, 101, 5):
            progress("store", done, 100)
    lines = [line for line in said.getvalue().splitlines() if line]
    assert lines == [f"store: {done} of 100" for done in range(0, 101, 10)]


def test_an_unknown_length_is_told_now_and_then(said: io.StringIO) -> None:
    with console.progress_bars() as progress:
        progress("load", 0, None)
        for done in range(0, 25_001, 500):
            progress("score", done, None)
    lines = [line for line in said.getvalue().splitlines() if line]
    assert lines == ["load", "score", "score: 10,000", "score: 20,000"]
