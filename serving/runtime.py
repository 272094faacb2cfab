"""What a worker holds: the scorer, opened when it can be, and always an answer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from features.errors import ChangeRiskError
from features.language import say
from features.settings import Settings
from features.store import Store, StoreError
from models.policy_file import PolicyError
from models.policy_file import load as load_policy
from models.registry import Registered, Registry, reached
from models.routing import RoutingPolicy
from serving.answers import Asked, at_fault, without_score
from serving.board import Board
from serving.bulk import consider_many, score_many
from serving.contract import Answer, ChangeIn, Warned
from serving.moment import InputError
from serving.policy import keep_policy
from serving.queue import catch_up
from serving.scorer import Scorer

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""How long a failed opening of store or model is left alone."""

FOLLOW_SECONDS = 10.0
"""How often a worker looks whether another model has become the champion."""


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
    board : Board, optional
        The habits of the board the pages are for.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = wall_clock,
        alias: str = "champion",
        board: Board | None = None,
    ) -> None:
        self.settings = settings
        self.board = board or Board.from_environment({})
        self.clock = clock
        self._alias = alias
        self._lock = threading.Lock()
        self._scorer: Scorer | None = None
        self._reason = "the service is starting"
        self._opened = False
        self._retry_at = 0.0
        self._follow_at = float("inf")
        self._loaded: Registered | None = None
        self._routing: RoutingPolicy | None = None

    def scorer(self) -> Scorer | None:
        """The scorer; None while there is no store.

        The first call opens store and model and waits for them. Where that failed it is tried again
        in the background: a caller is never kept waiting for a registry that is out of reach.
        """
        with self._lock:
            complete = self._scorer is not None and self._scorer.registered is not None
            if complete and time.monotonic() >= self._follow_at:
                self._follow_at = float("inf")
                threading.Thread(target=self._follow, name="follow", daemon=True).start()
            if complete or time.monotonic() < self._retry_at:
                return self._scorer
            self._retry_at = float("inf")
            if not self._opened:
                self._opened = True
                self._open()
            else:
                threading.Thread(target=self._open, name="open", daemon=True).start()
            return self._scorer

    def close(self) -> None:
        """Give back what is held of the store; a later question opens it anew."""
        if self._scorer is not None:
            self._scorer.store.close()

    def _open(self) -> None:
        """Open what is not open yet; what cannot be opened is tried again later."""
        try:
            store = self._scorer.store if self._scorer else self._store()
            registered, reason = self._model()
            self._loaded, self._routing = registered, self._policy()
            keep_policy(store, self._routing)
            scorer, reason = self._made(store, registered, reason)
            _warm(scorer, self.clock())
            self._scorer, self._reason = scorer, reason
        except StoreError as error:
            _log.error("%s", error)
            self._reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the service stays up
            _log.exception("the store could not be opened")
            self._reason = f"the store could not be opened ({type(error).__name__})"
        finally:
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._follow_at = time.monotonic() + FOLLOW_SECONDS

    def _follow(self) -> None:
        """Take up another champion beside the work; answers under way keep the old one.

        A model or a policy that cannot be used does not replace one that can.
        """
        try:
            old, loaded = self._scorer, self._loaded
            if old is None or loaded is None:
                return
            routing = self._newer_policy()
            if routing is not self._routing:
                self._succeed(old, loaded, routing)
                _log.info("policy %s routes from now on", routing and routing.version)
            version = self._registry().version_of(self._alias)
            if version in (None, loaded.version):
                return
            registered, reason = self._model()
            if registered is None:
                _log.error("version %s does not take over: %s", version, reason)
                return
            self._succeed(self._scorer or old, registered, routing)
            _log.info("version %s scores from now on", registered.version)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, the present model scores on
            _log.exception("whether there is another champion could not be found out")
        finally:
            self._follow_at = time.monotonic() + FOLLOW_SECONDS

    def _succeed(self, old: Scorer, loaded: Registered, routing: RoutingPolicy | None) -> None:
        """Put a scorer of another model or policy in the place of the present one."""
        keep_policy(old.store, routing)
        self._scorer = old.successor(loaded.under(routing))
        self._loaded, self._routing = loaded, routing

    def _policy(self) -> RoutingPolicy | None:
        """The organisation's policy; None where its file cannot be used: changes are scored still,
        without a route.
        """
        try:
            return load_policy(self.settings.home)
        except PolicyError as error:
            _log.error("no route is suggested: %s", error)
            return None

    def _newer_policy(self) -> RoutingPolicy | None:
        """The policy as its file stands, or the present one where that says the same or nothing."""
        found = self._policy()
        present = self._routing
        if found is None or (present is not None and found.digest == present.digest):
            return present
        return found

    def _registry(self) -> Registry:
        return Registry(self.settings.mlflow_uri, self.settings.artifacts)

    def _store(self) -> Store:
        """The store, with its queue up to date. None is made: an empty one has no keys, either."""
        store = Store(self.settings.store_url, create=False)
        catch_up(store, now=self.clock())
        return store

    def _made(self, store: Store, registered: Registered | None, reason: str) -> tuple[Scorer, str]:
        """A scorer of the model, or one without where it cannot be used."""
        try:
            ruled = None if registered is None else registered.under(self._routing)
            return Scorer(store, ruled, reason, indexes=self.settings.indexes), reason
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the service stays up
            _log.exception("the model could not be used")
            reason = f"the model could not be used ({type(error).__name__})"
            return Scorer(store, None, reason), reason

    def _model(self) -> tuple[Registered | None, str]:
        """The model, or why there is none."""
        try:
            with reached(self.settings) as registry:
                return registry.load(self._alias), ""
        except ChangeRiskError as error:
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
        """Score one change; whatever goes wrong, there is an answer.

        Raises
        ------
        InputError
            If the change cannot be scored as it stands.
        """
        return self.explained([change])[0]

    def explained(self, changes: Sequence[ChangeIn]) -> list[Answer]:
        """Score changes as of one moment; whatever goes wrong, each has an answer.

        Parameters
        ----------
        changes : sequence of ChangeIn
            None of them twice.

        Raises
        ------
        InputError
            If any of them cannot be scored as it stands.
        """
        return self._given(changes, lambda scorer: scorer.answers(changes, now=self.clock()))

    def settle(self) -> None:
        """After an answer, and beside the wait for the next: take in what it wrote."""
        if self._scorer is not None:
            self._scorer.settle()

    def answers(self, changes: Sequence[ChangeIn]) -> list[Answer]:
        """Score many changes without reasons; whatever goes wrong, each has an answer.

        Parameters
        ----------
        changes : sequence of ChangeIn
            One of :func:`serving.bulk.chunks`, each of which can be scored as it stands.
        """
        return self._given(changes, lambda scorer: score_many(scorer, changes, now=self.clock()))

    def _given(
        self, changes: Sequence[ChangeIn], give: Callable[[Scorer], list[Answer]]
    ) -> list[Answer]:
        scorer = self.scorer()
        if scorer is None:
            return [self.unscored(change) for change in changes]
        try:
            return give(scorer)
        except InputError:
            raise
        except Exception:  # noqa: BLE001 - the workflow always gets an answer; the log has the fault
            _log.exception("no answer could be made")
            return [self.unscored(change, at_fault()) for change in changes]

    def unscored(self, change: ChangeIn, because: Warned | None = None) -> Answer:
        """The answer without a score and without a record; by default because of the store.

        Raises
        ------
        InputError
            If the change cannot be scored as it stands.
        """
        unopened = Warned(code="store_unavailable", text=say("The history could not be opened."))
        return without_score(Asked.of(change, self.clock()), None, because or unopened)


def _warm(scorer: Scorer, now: datetime) -> None:
    """Do before the first answers what would make them slow: what is compiled is compiled now, for
    one change and for many.
    """
    planned = {"planned_start": now + timedelta(days=2), "planned_end": now + timedelta(days=3)}
    content = {"change_id": "-", "short_description": "Restart the service", **planned}
    imagined = ChangeIn.model_validate(content)
    try:
        scorer.consider(imagined, now=now)
        consider_many(scorer, imagined, now=now)
    except Exception:  # noqa: BLE001 - whatever is wrong, the first answer says it
        _log.exception("an imagined change could not be scored")
