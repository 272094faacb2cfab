"""Steps of the lab that need a registry and a journal: promote, roll back, watch."""

from __future__ import annotations

import getpass
from contextlib import closing
from datetime import UTC, datetime

from features.history import History
from features.settings import Settings
from features.store import Store
from models.registry import reached
from training import champion
from training.bar import Bar
from training.config import TrainingError
from training.monitoring import journaled, monitor
from training.promotion import compare
from training.run import Compared
from training.watched import Watched


class Served:
    """A history whose models are registered and put into service; see :class:`training.lab.Lab`."""

    history: History
    as_of: datetime
    settings: Settings | None

    def promote(
        self,
        version: str = "challenger",
        *,
        reason: str,
        by: str | None = None,
        override: bool = False,
    ) -> Compared:
        """Make a registered version the champion if the written rule lets it (docs/promotion.md).

        Parameters
        ----------
        version : str
            A version or an alias.
        reason, by : str
            Why, and who decides (by default the user of this machine): kept in the journal and on
            the model's card.
        override : bool
            Promote although the rule refuses; that is on record too.

        Raises
        ------
        TrainingError
            If there is no reason, or the lab was made without settings.
        RegistryError
            If there is no such version.
        """
        because = _said(reason)
        settings, now = self.place_of_models(), datetime.now(UTC)
        with Bar() as bar, reached(settings) as registry:
            challenger = registry.load(version)
            found = compare(
                self.history,
                registry.load("champion"),
                challenger,
                as_of=self.as_of,
                now=now,
                progress=bar,
            )
            if found.promotes or override:
                with closing(Store(settings.store_url)) as store:
                    champion.move(
                        registry,
                        store,
                        challenger.version,
                        reason=because,
                        by=by or getpass.getuser(),
                        now=now,
                        found=found,
                    )
        return Compared(found)

    def roll_back(self, *, reason: str, by: str | None = None) -> str:
        """Make the champion before this one the champion again; its version.

        Parameters
        ----------
        reason, by : str
            Why, and who decides; see :meth:`promote`.

        Raises
        ------
        TrainingError
            If there is no reason, or the lab was made without settings.
        RegistryError
            If there is no earlier champion.
        """
        because, now = _said(reason), datetime.now(UTC)
        settings = self.place_of_models()
        with closing(Store(settings.store_url)) as store, reached(settings) as registry:
            who = by or getpass.getuser()
            back, _ = champion.go_back(registry, store, reason=because, by=who, now=now)
        return back

    def monitor(self, alias: str = "champion") -> Watched:
        """What a registered model says beside what happened since, and how far changes moved.

        Parameters
        ----------
        alias : str
            A version or an alias.

        Raises
        ------
        TrainingError
            If the lab was made without settings.
        RegistryError
            If there is no such model.
        """
        settings = self.place_of_models()
        with closing(Store(settings.store_url)) as store, reached(settings) as registry:
            registered = registry.load(alias)
            said = journaled(store.journal_entries(), registered.version)
        with Bar() as bar:
            found = monitor(self.history, registered, said, as_of=self.as_of, progress=bar)
        return Watched(found)

    def place_of_models(self) -> Settings:
        """Where registry and journal are.

        Raises
        ------
        TrainingError
            If the lab was made without settings.
        """
        if self.settings is None:
            raise TrainingError(
                "the lab has no registry: make it with Lab.open(), or pass settings"
            )
        return self.settings


def _said(reason: str) -> str:
    """The reason of a decision.

    Raises
    ------
    TrainingError
        If there is none.
    """
    if not reason.strip():
        raise TrainingError("say why: the reason is kept in the journal and on the card")
    return reason.strip()
