"""What the pages read: the answers on record, the history beside them, and the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from features.policy import POLICIES
from features.store import Store, StoreError
from models.bands import Bands
from models.registry import Registered
from serving.pages.facts import Facts, History
from serving.pages.site import Site
from serving.scorer import Scorer

NOUNS = {"incident": "incidents", "failed": "back-outs", "incident_rise": "rises in incidents"}
"""What a label counts, in a word."""


class UnreadableError(Exception):
    """The store cannot be read; the page says so."""


@dataclass(frozen=True)
class Desk:
    """Everything a page's handler works with."""

    site: Site
    history: History = field(default_factory=History)
    versions: dict[str, str | None] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The time."""
        return self.site.runtime.clock()

    @property
    def scorer(self) -> Scorer:
        """The scorer.

        Raises
        ------
        UnreadableError
            If there is no store.
        """
        scorer = self.site.runtime.scorer()
        if scorer is None:
            raise UnreadableError
        return scorer

    @property
    def registered(self) -> Registered | None:
        """The model that scores."""
        return self.scorer.registered

    @property
    def bands(self) -> Bands | None:
        """Its bands."""
        registered = self.registered
        return None if registered is None else registered.model.bands

    @property
    def problem(self) -> str | None:
        """Why nothing can be scored now; None if it can."""
        ready, reason = self.site.runtime.ready()
        return None if ready else reason

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store; a fault in it becomes a page that says so.

        Raises
        ------
        UnreadableError
            If it cannot be read.
        """
        try:
            yield self.scorer.store
        except StoreError as error:
            raise UnreadableError from error

    @contextmanager
    def facts(self) -> Iterator[Facts]:
        """The history, held still.

        Raises
        ------
        UnreadableError
            If the store or the model cannot be read now.
        """
        try:
            with self.history.reading(self.scorer) as facts:
                yield facts
        except StoreError as error:
            raise UnreadableError from error

    def label(self) -> str:
        """Name of the label the scores speak of."""
        registered = self.registered
        return "incident" if registered is None else registered.model.policy.name

    def means(self, label: str | None = None) -> str:
        """What the label calls a failure, after "changes that …"."""
        name = label or self.label()
        registered = self.registered
        if registered is not None and registered.model.policy.name == name:
            return registered.model.policy.means
        return POLICIES[name].means if name in POLICIES else "failed"

    def noun(self) -> str:
        """What is expected, in a word."""
        return NOUNS.get(self.label(), "failures")
