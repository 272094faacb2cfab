"""What the service is measured beside: the least BentoML can do, and the same code without it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import bentoml

from features.settings import Settings
from serving.contract import Answer, ChangeIn

if TYPE_CHECKING:
    from fastapi import FastAPI


@bentoml.service(
    name="constant",
    workers=1,
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    traffic={"timeout": 60},
)
class Constant:
    """A change in, the same few words out, with the settings of our service."""

    @bentoml.api(route="/score")
    async def score(self, change: ChangeIn, /) -> dict[str, Any]:
        """Always the same."""
        return {"change_id": change.change_id, "incident_probability": 0.05}


def plain() -> FastAPI:
    """The same scorer behind one route of FastAPI, written as its tutorial does: no keys, limits,
    measures or problem documents.
    """
    from fastapi import FastAPI

    from serving.runtime import Runtime

    runtime = Runtime(Settings.from_environment(os.environ))
    runtime.scorer()
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> str:
        return "ready"

    @app.post("/v1/score")
    def score(change: ChangeIn) -> Answer:
        return runtime.answer(change)

    return app
