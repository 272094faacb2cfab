"""What long work tells those who wait."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Told a stage, how much of it is done, and how much there is (None where unknown)."""


def silent(_stage: str, _done: int, _total: int | None) -> None:
    """Progress that tells nobody."""
