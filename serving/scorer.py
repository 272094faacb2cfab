"""Score, explain, record: the one way from a change to its answer, over HTTP and offline alike."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np

from features import instants
from features.columns import Columns
from features.history import History
from features.language import say
from features.records import Change
from features.saved import open_state
from features.similar import outcome_of
from features.state import FeatureState
from features.store import ASKED, Store, StoreError
from features.store.writing import Writer
from features.table import build
from models.explanation import Explainer
from models.registry import Registered
from serving.answers import (
    Asked,
    Scored,
    settled,
    waited_in_vain,
    with_score,
    without_model,
    without_score,
)
from serving.contract import Answer, ChangeIn, Warned, plain
from serving.late import Place, placed
from serving.levers import Options
from serving.moment import moment_of
from serving.queue import keep, shadowed

_log = logging.getLogger(__name__)

WAIT_SECONDS = 10.0
"""How long a change waits for those before it; then it is answered without a score."""

READ_SECONDS = 2.0
"""How long a page waits for the history; then it goes without."""


class Scorer:
    """Answers changes from a store and a model.

    Parameters
    ----------
    store : Store
        History and journal.
    registered : Registered or None
        The model; None where none could be loaded.
    unavailable : str
        Why there is none.
    state : FeatureState, optional
        The indexed history, where somebody has it already; made for the model's label.
    indexes : Path, optional
        Folder of saved indexes, which workers share; without it each builds its own.
    """

    def __init__(
        self,
        store: Store,
        registered: Registered | None,
        unavailable: str = "no model is loaded",
        state: FeatureState | None = None,
        indexes: Path | None = None,
    ) -> None:
        self.store = store
        self._indexes = indexes
        self.registered = registered
        self.unavailable = unavailable
        self._own: History | None = None  # what this worker wrote last, not taken in yet
        self._lock = threading.Lock()
        self._state = state
        self._explainer = None if registered is None else Explainer(registered.model)
        self._refresh()

    @property
    def watermark(self) -> int:
        """The last write whose facts count."""
        return 0 if self._state is None else self._state.watermark

    def successor(self, registered: Registered) -> Scorer:
        """A scorer with another model over the same store; the history is indexed again only where
        the new model answers another question.
        """
        same = self.registered is not None and (
            self.registered.model.policy == registered.model.policy
            and self.registered.model.place == registered.model.place
        )
        if not same:
            return Scorer(self.store, registered, indexes=self._indexes)
        with self._lock:
            made = Scorer(self.store, registered, state=self._state, indexes=self._indexes)
        # The history grows in place: both hold it by one lock until the old scorer is gone.
        made._lock = self._lock
        return made

    def answer(self, change: ChangeIn, *, now: datetime) -> Answer:
        """Score one change and record the answer.

        Parameters
        ----------
        now : datetime
            The moment of the call, aware.

        Raises
        ------
        InputError
            If ``as_of`` lies in the future.
        """
        as_of, about_time = moment_of(change, now)
        warnings = [*change.warnings(), *about_time]
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            record = change.to_record(revision=change.revision or "1", known_at=now)
            asked = Asked(record=record, as_of=as_of, now=now, warnings=warnings)
            return without_score(asked, self.registered, waited_in_vain())
        try:
            return self._answer(change, as_of, warnings, now)
        finally:
            self._lock.release()

    def consider(self, change: ChangeIn, *, now: datetime) -> Answer:
        """The answer to a change that nobody has submitted; nothing of it is kept.

        Raises
        ------
        InputError
            If ``as_of`` lies in the future.
        StoreError
            If the history cannot be read.
        """
        as_of, about_time = moment_of(change, now)
        record = change.to_record(revision="1", known_at=now)
        warnings = [*change.warnings(), *about_time]
        asked = Asked(record=record, as_of=as_of, now=now, warnings=warnings)
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            return without_score(asked, self.registered, waited_in_vain())
        try:
            return self._judged(asked)[0]
        finally:
            self._lock.release()

    def settle(self) -> None:
        """Take in what was written, unless somebody is at it, so that the next answer need not."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._refresh()
        except StoreError as error:
            _log.warning("the history could not be read: %s; the next answer tries again", error)
        except Exception:  # noqa: BLE001 - the answer is given; the next one starts anew
            _log.exception("what was written could not be taken in")
        finally:
            self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[FeatureState | None]:
        """The indexed history as of the last write, held still while the block reads it.

        None where there is no model, or where scoring holds it for too long.
        """
        if not self._lock.acquire(timeout=READ_SECONDS):
            yield None
            return
        try:
            self._refresh()
            yield self._state
        finally:
            self._lock.release()

    def outcome(self, change_id: str, *, now: datetime) -> str | None:
        """Outcome of a change, ``caused`` or ``clean``; None while it is undecided or unknown.

        Raises
        ------
        StoreError
            If the store cannot be read.
        """
        with self.reading() as state:
            if state is None:
                return None
            return outcome_of(state, change_id, instants.to_micros(now))

    def _answer(
        self, change: ChangeIn, as_of: datetime, warnings: list[Warned], now: datetime
    ) -> Answer:
        record = change.to_record(revision=change.revision or "1", known_at=now)
        asked = Asked(record=record, as_of=as_of, now=now, warnings=warnings)
        scored: Scored | None = None
        try:
            record = revised(self.store, change, now)
            asked = Asked(record=record, as_of=as_of, now=now, warnings=warnings)
            answer, scored = self._judged(asked)
        except StoreError as error:
            _log.error("the store could not be read: %s", error)
            unread = Warned(code="store_unavailable", text=say("The history could not be read."))
            return without_score(asked, self.registered, unread)
        except Exception:  # noqa: BLE001 - the workflow always gets an answer; the log has the fault
            _log.exception("scoring %s failed", _loggable(change.change_id))
            failed = Warned(code="internal_error", text=say("The change could not be scored."))
            answer = without_score(asked, self.registered, failed)
        return self._recorded(answer, asked, change, scored)

    def _judged(self, asked: Asked) -> tuple[Answer, Scored | None]:
        """The answer, with a score if there is a model."""
        self._refresh()
        if self.registered is None or self._state is None or self._explainer is None:
            return without_score(asked, self.registered, without_model()), None
        scored = score_one(
            asked.record,
            asked.as_of,
            self.registered,
            self._state,
            self._explainer,
            options=not asked.begun,
        )
        return with_score(asked, scored, self.registered, self._state), scored

    def _refresh(self) -> None:
        """Take in what was written since the last answer, by this worker or another."""
        if self.registered is None:
            return
        if self._state is None:
            model = self.registered.model
            self._state = open_state(self.store, model.policy, self._indexes, model.place)
        elif (last := self.store.watermark()) > self._state.watermark:
            newer, self._own = self._own, None
            known = self._state.watermark
            if newer is None or newer.watermark != last or last != known + 1:  # others wrote, too
                newer = self.store.load(after=known)
            # A state whose extension failed midway is not used again: the next answer starts anew.
            state, self._state = self._state, None
            self._state = state.extended(newer)

    def wrote(self, writer: Writer) -> None:
        """What this worker wrote itself is taken in without reading it back; under the lock."""
        self._own = writer.history() if writer.rows_written else None

    def _recorded(
        self, answer: Answer, asked: Asked, change: ChangeIn, scored: Scored | None
    ) -> Answer:
        """Keep the payload as a revision and the answer in the journal, both or neither.

        An answer that cannot be recorded is not given as a score: nobody could account for it.
        """
        body = {
            "payload": change.payload(),
            "revision": asked.record.revision,
            "as_of": instants.to_micros(asked.as_of),
            "watermark": self.watermark,
            "features": None if scored is None else scored.table.values[0].tolist(),
            "answer": plain(answer),
            **shadowed(answer),
        }
        try:
            with self.store.write(ASKED, now=asked.now) as writer:
                (place,) = placed(writer, [asked.record], [change.revision is not None])
                if place != Place(asked.record):
                    answer = settled(answer, place)
                    body |= {"revision": answer.revision, "answer": plain(answer)}
                if place.late is None:
                    writer.add([place.record])
                head = writer.append_journal(answer.score_id, "score", answer.change_id, body)
                keep(writer, head.seq, answer, place.record)
            self.wrote(writer)
        except StoreError as error:
            _log.error("the answer could not be recorded: %s", error)
            warned = Warned(code="not_recorded", text=say("The answer could not be recorded."))
            return without_score(asked, self.registered, warned)
        return answer


def revised(store: Store, change: ChangeIn, now: datetime) -> Change:
    """The change as a record; without a revision mark of its own it gets the next number,
    unless its content is the last one's.
    """
    if change.revision is not None:
        return change.to_record(revision=change.revision, known_at=now)
    latest = store.latest_revision(change.change_id)
    if latest is None:
        return change.to_record(revision="1", known_at=now)
    mark, count = latest
    same = change.to_record(revision=mark, known_at=now)
    if store.holds(same):
        return same
    last = int(mark) if mark.isascii() and mark.isdecimal() and len(mark) < 10 else 0
    return change.to_record(revision=str(max(count, last) + 1), known_at=now)


def score_one(
    record: Change,
    as_of: datetime,
    registered: Registered,
    state: FeatureState,
    explainer: Explainer,
    *,
    options: bool = False,
) -> Scored:
    """Features, probability and factors of one change at one moment.

    Parameters
    ----------
    options : bool
        Whether to look for what could be done instead, too. Its versions of the change are rows of
        the same table: asking once for many costs little more than asking once.
    """
    micros = instants.to_micros(as_of)
    found = Options.of(record, micros, registered.model) if options else None
    versions = [record, *(found.versions if found else ())]
    changes = Columns.from_records(Change, versions)
    built = build(changes, np.full(len(versions), micros), state)
    table, changes = built.rows(0, 1), changes.take(np.array([0]))
    return Scored(
        changes=changes,
        table=table,
        probability=float(registered.model.probability(table.values)[0]),
        base_log_odds=explainer.base_log_odds,
        factors=explainer.factors(table, changes),
        options=found,
        values=built.values[1:],
    )


def _loggable(text: str) -> str:
    """An id that cannot break or forge a log line."""
    return "".join(c if c.isprintable() else "?" for c in text)[:80]
