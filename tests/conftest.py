"""What all tests share: no telemetry, a small synthetic organisation, a model fitted on it."""

from __future__ import annotations

import os

os.environ["BENTOML_DO_NOT_TRACK"] = "True"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["OTEL_SDK_DISABLED"] = "true"
