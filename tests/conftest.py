"""What all tests share: no telemetry, a small synthetic organisation, a model fitted on it."""

from __future__ import annotations

import gc
import os

os.environ["BENTOML_DO_NOT_TRACK"] = "True"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["OTEL_SDK_DISABLED"] = "true"

from collections.abc import Iterator

import pytest

from tests.postgres import NO_SERVER, POSTGRES, PostgresServer, programs

# Models and tables of the session stay; going through all of them again and again is a tenth of it.
gc.set_threshold(100_000, 50, 100)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a server: the one named, else one of our own that is thrown away afterwards."""
    named = os.environ.get(POSTGRES)
    if named:
        yield named
        return
    if programs(os.environ.get("PATH", "")) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(NO_SERVER)
        pytest.skip(NO_SERVER)
    server = PostgresServer(durable=False)
    yield server.url
    server.close()
