"""What a model was trained on, as its run in MLflow tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

DIGEST = 32
"""Characters kept of a digest: MLflow takes 36."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The feature table of a training: a data set to MLflow, which shows it beside the run.

    Parameters
    ----------
    name : str
        Where the history came from.
    digest : str
        Digest of the table and its outcomes; equal digests are equal tables.
    source : mapping
        What gives the same history again: the store's last write and the last moment known.
    columns : sequence of mapping
        The schema, a mapping a column, with ``name`` and ``unit`` among others.
    profile : mapping
        Counts of the rows.
    """

    name: str
    digest: str
    source: Mapping[str, Any]
    columns: Sequence[Mapping[str, Any]]
    profile: Mapping[str, Any]

    def log(self, client: MlflowClient, run_id: str) -> None:
        """Write it beside a run.

        Parameters
        ----------
        client : MlflowClient
            Of the tracking server.
        run_id : str
            The run.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        specs = [
            {"type": "double", "name": column["name"], "required": False} for column in self.columns
        ]
        data = Dataset(
            name=self.name,
            digest=self.digest[:DIGEST],
            source_type="change-risk history",
            source=json.dumps(dict(self.source)),
            schema=json.dumps({"mlflow_colspec": specs}),
            profile=json.dumps(dict(self.profile)),
        )
        context = [InputTag(key="mlflow.data.context", value="training")]
        client.log_inputs(run_id, datasets=[DatasetInput(dataset=data, tags=context)])
