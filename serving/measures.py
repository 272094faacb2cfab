"""Measures for Prometheus: how many answers, how fast, how sure. Labels never hold an id."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from features.store import StoreError
from serving.contract import Answer, ChangeIn
from serving.runtime import Runtime

_log = logging.getLogger(__name__)

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where the workers of a server keep their measures, if it has any."""

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_PROBABILITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


@contextmanager
def _in_passing() -> Iterator[None]:
    """What is measured in the block never stops an answer: the measures of several workers are
    files, and a disk may be full.
    """
    try:
        yield
    except OSError as error:
        _log.warning("an answer could not be measured: %s", error)


class Measures:
    """One worker's measures, and the sums over all workers of its server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "changerisk_score_seconds", "Time to answer", buckets=_SECONDS, registry=self.registry
        )
        self._answers = Counter(
            "changerisk_scores",
            "Answers by status, band and model version",
            ["status", "band", "model"],
            registry=self.registry,
        )
        self._probability = Histogram(
            "changerisk_probability",
            "Probabilities given",
            buckets=_PROBABILITIES,
            registry=self.registry,
        )
        self._warnings = Counter(
            "changerisk_warnings", "Warnings by code", ["code"], registry=self.registry
        )
        self._webhooks = Gauge(
            "changerisk_webhooks",
            "Webhooks by endpoint and status: waiting, delivered in the last days, dead",
            ["endpoint", "status"],
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self._ready = Gauge(
            "changerisk_ready",
            "1 if scores can be given",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )

    def answered(self, give: Callable[[ChangeIn], Answer], change: ChangeIn) -> Answer:
        """Give the answer to a change, measured."""
        begun = time.perf_counter()
        answer = give(change)
        self.measured(answer, time.perf_counter() - begun)
        return answer

    def measured(self, answer: Answer, seconds: float) -> None:
        """Count an answer, and what it took."""
        with _in_passing():
            self._seconds.observe(seconds)
            self._count(answer)

    def counted(self, answers: Iterable[Answer]) -> None:
        """Count answers that were given many at once."""
        with _in_passing():
            for answer in answers:
                self._count(answer)

    def _count(self, answer: Answer) -> None:
        version = answer.model.version if answer.model else "none"
        self._answers.labels(answer.status, answer.risk_band or "none", version).inc()
        if answer.incident_probability is not None:
            self._probability.observe(answer.incident_probability)
        for warning in answer.warnings:
            self._warnings.labels(warning.code).inc()

    def observe(self, runtime: Runtime) -> None:
        """Take the readings that are taken when asked for."""
        self._ready.set(1 if runtime.ready()[0] else 0)
        scorer = runtime.scorer()
        if scorer is None:
            return
        with suppress(StoreError), scorer.store.outbox() as outbox:
            for endpoint, counts in outbox.counts().items():
                for status, count in counts.items():
                    self._webhooks.labels(endpoint, status).set(count)

    def shown(self) -> bytes:
        """All measures as Prometheus reads them: those of all workers, whichever is asked."""
        if _FOLDER not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
