"""What a worker holds: the scorer, opened when it can be, and always an answer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from features.store import Store, StoreError
from models.bundle import BundleError
from models.registry import Registered, Registry, RegistryError
from serving.contract import Answer, ChangeIn, Warned
from serving.scorer import Scorer, moment_of, unscored
from serving.settings import Settings

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""How long a failed opening of store or model is left alone."""


def wall_clock() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


class Runtime:
    """Store, model and scorer of one worker.

    Parameters
    ----------
    settings : Settings
    clock : callable
        Gives the time; tests pass their own.
    alias : str
        Which model scores.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = wall_clock,
        alias: str = "champion",
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._alias = alias
        self._lock = threading.Lock()
        self._scorer: Scorer | None = None
        self._reason = "the service is starting"
        self._retry_at = 0.0

    def scorer(self) -> Scorer | None:
        """The scorer, opened or reopened if need be; None while there is no store."""
        with self._lock:
            complete = self._scorer is not None and self._scorer.registered is not None
            if not complete and time.monotonic() >= self._retry_at:
                self._open()
                self._retry_at = time.monotonic() + RETRY_SECONDS
            return self._scorer

    def _open(self) -> None:
        store = self._scorer.store if self._scorer else self._store()
        if store is None:
            return
        registered, reason = self._model()
        if self._scorer is None or registered is not None:
            try:
                self._scorer = Scorer(store, registered, reason)
            except StoreError as error:
                self._scorer, reason = None, str(error)
        elif self._scorer is not None:
            self._scorer.unavailable = reason
        self._reason = reason

    def _store(self) -> Store | None:
        try:
            return Store(self.settings.store_url)
        except StoreError as error:
            _log.error("%s", error)
            self._reason = str(error)
            return None

    def _model(self) -> tuple[Registered | None, str]:
        """The model, or why there is none."""
        try:
            registry = Registry(self.settings.mlflow_uri, self.settings.artifacts)
            return registry.load(self._alias), ""
        except (RegistryError, BundleError) as error:
            _log.error("%s", error)
            return None, str(error)
        except Exception as error:  # noqa: BLE001 - whatever the registry does, the service stays up
            _log.exception("the registry could not be used")
            return None, f"the model registry could not be used ({type(error).__name__})"

    def ready(self) -> tuple[bool, str]:
        """Whether scores can be given, and if not, why."""
        scorer = self.scorer()
        if scorer is None:
            return False, self._reason
        if scorer.registered is None:
            return False, scorer.unavailable
        try:
            scorer.store.watermark()
        except StoreError as error:
            return False, str(error)
        return True, "scoring"

    def answer(self, change: ChangeIn) -> Answer:
        """Score one change; without a store, say that nothing could be scored.

        Raises
        ------
        InputError
            If the change cannot be scored as it stands.
        """
        now = self.clock()
        scorer = self.scorer()
        if scorer is not None:
            return scorer.answer(change, now=now)
        as_of, warnings = moment_of(change, now)
        record = change.to_record(revision=change.revision or "1", known_at=now)
        reason = Warned(code="store_unavailable", text="The history could not be opened.")
        return unscored(record, as_of, now, [*change.warnings(), *warnings, reason], None)
