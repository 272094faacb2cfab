"""Things by name of which some are made only when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

Thing = TypeVar("Thing")


class Later(Mapping[str, Thing]):
    """Things by name, there or made the first time they are asked for."""

    def __init__(self) -> None:
        self._there: dict[str, Thing] = {}
        self._make: dict[str, Callable[[], Thing]] = {}

    def put(self, things: Iterable[tuple[str, Thing]]) -> None:
        """Keep things that are there."""
        self._there.update(things)

    def when_asked(self, name: str, make: Callable[[], Thing]) -> None:
        """Keep how a thing is made."""
        self._make[name] = make

    def __getitem__(self, name: str) -> Thing:
        if name in self._make:
            self._there[name] = self._make.pop(name)()
        return self._there[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._there, *self._make])

    def __len__(self) -> int:
        return len(self._there) + len(self._make)
