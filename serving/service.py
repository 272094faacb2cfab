"""The BentoML service: the contract's application mounted in it, native endpoints beside it.

The only module that imports bentoml. ``changerisk serve`` starts it; so does
``bentoml serve serving.service:ChangeRisk``.
"""

from __future__ import annotations

import gc
import os

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")
# Who calls is who is connected: sign-in by a proxy is believed from listed peers only.
os.environ.setdefault("FORWARDED_ALLOW_IPS", "")
# MLflow would try a registry that is out of reach for minutes; the runtime tries again by itself.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

import bentoml

from features.language import catalogue_from, speak
from features.settings import Settings
from serving.board import Board
from serving.contract import Answer, ChangeIn
from serving.courier import Couriers
from serving.front import create_front
from serving.gate import Gate
from serving.measures import Measures
from serving.runtime import Runtime
from serving.together import Together

_UNTRACED = ".*" if os.environ["OTEL_SDK_DISABLED"].lower() == "true" else ""
"""Paths of which no spans are made: they would be thrown away."""


def create_service(runtime: Runtime) -> bentoml.Service:
    """The service over one worker's runtime; how many workers there are, its settings say."""
    measures = Measures()
    together = Together(runtime, measures)

    @bentoml.service(
        name="change_risk",
        workers=runtime.settings.workers,
        metrics={"enabled": False},  # BentoML labels by raw path; our /metrics uses none
        logging={"access": {"enabled": False}},
        tracing={"excluded_urls": _UNTRACED},
        traffic={"timeout": 60},
    )
    @bentoml.asgi_app(create_front(runtime, measures, together), path="/")
    class ChangeRisk:
        """Probability, reasons and evidence for planned IT changes."""

        def __init__(self) -> None:
            runtime.scorer()
            # A history is millions of objects that stay. A collector that looked through them every
            # now and then would stop all answers for a tenth of a second.
            gc.collect()
            gc.freeze()
            self._couriers = Couriers.of(runtime, os.environ)
            self._couriers.start()

        @bentoml.on_shutdown  # type: ignore[untyped-decorator]
        def end(self) -> None:
            """End what runs beside the answers, then give the store back."""
            self._couriers.stop()
            runtime.close()

        @bentoml.api(route="/score")  # type: ignore[untyped-decorator]
        async def score(self, change: ChangeIn, /) -> Answer:
            """Score one change, as ``POST /v1/score`` does."""
            # The gate has let through only bodies that can be scored.
            return await together.answer(change)

        @bentoml.api(route="/score_bulk")  # type: ignore[untyped-decorator]
        async def score_bulk(self, changes: list[ChangeIn]) -> list[Answer]:
            """Score several changes, one after another."""
            return [await together.answer(change) for change in changes]

    ChangeRisk.add_asgi_middleware(Gate, runtime=runtime)  # type: ignore[attr-defined]
    return ChangeRisk


_settings = Settings.from_environment(os.environ)
speak(catalogue_from(_settings.messages))
ChangeRisk = create_service(Runtime(_settings, board=Board.from_environment(os.environ)))
