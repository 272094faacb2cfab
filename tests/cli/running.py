"""A run of the command line, and a small demo for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

DEMO = ("demo", "--changes", "300", "--until", "2025-06-02")


@dataclass(frozen=True)
class Ran:
    """What a run left."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The one JSON object on stdout."""
        assert self.out.endswith("\n")
        return orjson.loads(self.out)


Run = Callable[..., Ran]
