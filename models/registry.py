"""The registry: bundles in MLflow, in and out.

What a bundle's files hold, and how they are read, is told in :mod:`models.bundle_files`.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from features.errors import ChangeRiskError
from features.settings import Settings
from models.bundle import BundleError, RiskModel
from models.bundle_files import dump, load
from models.estimator_file import TRUSTED
from models.policy_file import load as load_policy
from models.routing import RoutingPolicy
from models.snapshot import Snapshot

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

MODEL_NAME = "change-risk"

_FOLDER, _DOCUMENTS = "bundle", "documents"

_log = logging.getLogger(__name__)


class RegistryError(ChangeRiskError):
    """The registry has no such model or cannot be used; the message says what to do."""


class RegistryUnavailableError(ChangeRiskError):
    """The registry cannot be reached or opened."""

    exit_code = 4


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A bundle, where it came from, and the policy it scores under.

    Parameters
    ----------
    model : RiskModel
        The bundle.
    name, version : str
        The registry's own.
    routing : RoutingPolicy or None
        Which way changes may take; None where the organisation's own cannot be read.
    """

    model: RiskModel
    name: str
    version: str
    routing: RoutingPolicy | None = field(default_factory=load_policy)

    def under(self, routing: RoutingPolicy | None) -> Registered:
        """The same model under a policy, with the bands as that cuts them.

        Parameters
        ----------
        routing : RoutingPolicy or None
            The policy; None where it cannot be read.
        """
        if routing is None:
            return replace(self, routing=None)
        bands = routing.bands_of(self.model)
        same = bands is self.model.bands
        model = self.model if same else replace(self.model, bands=bands)
        return replace(self, model=model, routing=routing)


@dataclass(frozen=True, kw_only=True)
class Version:
    """A line of the registry."""

    version: str
    aliases: tuple[str, ...]
    run_id: str
    created_at: int
    tags: Mapping[str, str]


class Registry:
    """An MLflow registry.

    Parameters
    ----------
    uri : str
        Tracking and registry URI, ``sqlite:///…`` or a server's URL.
    artifacts : Path or None
        Folder of artefacts for a local registry; None leaves it to the server.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        import mlflow  # seconds to import: only those who use a registry pay

        for noisy in ("alembic", "mlflow.store.db.utils", "mlflow.sklearn", "mlflow.models.model"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self._mlflow = mlflow
        self._uri = uri
        self._artifacts = artifacts
        self._client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)

    def save(
        self,
        model: RiskModel,
        *,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        alias: str | None = None,
        documents: Mapping[str, bytes] | None = None,
        data: Snapshot | None = None,
    ) -> str:
        """Log a bundle as a run with its model, register it, and give its version.

        Parameters
        ----------
        params, tags : mapping
            What the run is found by.
        metrics : mapping of str to float
            Figures of the test window.
        alias : str, optional
            ``champion`` or ``challenger``: which of the registry's pointers to move to it.
        documents : mapping of str to bytes, optional
            Files kept with the run: reports, cards, figures.
        data : Snapshot, optional
            What it was trained on.
        """
        mlflow = self._mlflow
        with tempfile.TemporaryDirectory() as folder:
            bundle, papers = Path(folder, _FOLDER), Path(folder, _DOCUMENTS)
            bundle.mkdir()
            dump(model, bundle)
            papers.mkdir()
            for name, content in (documents or {}).items():
                (papers / name).write_bytes(content)
            mlflow.set_tracking_uri(self._uri)
            mlflow.set_registry_uri(self._uri)
            experiment = self._experiment()
            with mlflow.start_run(experiment_id=experiment) as run:
                mlflow.log_params(dict(params))
                mlflow.log_metrics(dict(metrics))
                mlflow.set_tags(dict(tags))
                mlflow.log_artifacts(str(bundle), artifact_path=_FOLDER)
                mlflow.log_artifacts(str(papers), artifact_path=_DOCUMENTS)
                if data is not None:
                    data.log(self._client, run.info.run_id)
                logged = mlflow.sklearn.log_model(
                    model.estimator,
                    name="model",
                    serialization_format="skops",
                    skops_trusted_types=list(TRUSTED),
                    pip_requirements=["scikit-learn", "skops"],
                )
        return self._register(run.info.run_id, logged.model_uri, dict(tags), alias)

    def _register(self, run_id: str, uri: str, tags: dict[str, str], alias: str | None) -> str:
        errors = self._mlflow.exceptions.MlflowException
        try:
            self._client.get_registered_model(MODEL_NAME)
        except errors:
            self._client.create_registered_model(MODEL_NAME)
        version = self._client.create_model_version(MODEL_NAME, uri, run_id=run_id, tags=tags)
        if alias is not None:
            self.point(alias, str(version.version))
        return str(version.version)

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(MODEL_NAME)
        if found is not None:
            return str(found.experiment_id)
        location = None if self._artifacts is None else self._artifacts.resolve().as_uri()
        return str(self._client.create_experiment(MODEL_NAME, artifact_location=location))

    def point(self, alias: str, version: str) -> None:
        """Move an alias to a version.

        Parameters
        ----------
        alias : str
            ``champion``, ``challenger`` or ``previous``.
        version : str
            Where it is to point.
        """
        self._client.set_registered_model_alias(MODEL_NAME, alias, version)

    def version_of(self, alias: str) -> str | None:
        """The version an alias points to; None where it points nowhere.

        Parameters
        ----------
        alias : str
            ``champion``, ``challenger`` or ``previous``.
        """
        try:
            found = self._client.get_model_version_by_alias(MODEL_NAME, alias)
        except self._mlflow.exceptions.MlflowException:
            return None
        return str(found.version)

    def tag(self, version: str, **tags: str) -> None:
        """Write facts beside a version.

        Parameters
        ----------
        version : str
            The version.
        **tags
            The facts by name.
        """
        for name, value in tags.items():
            self._client.set_model_version_tag(MODEL_NAME, version, name, value)

    def keep(self, version: str, name: str, content: bytes) -> None:
        """Add a file to those kept with a version's run.

        Parameters
        ----------
        version : str
            The version.
        name : str
            Of the file.
        content : bytes
            What is in it.
        """
        found = self._client.get_model_version(MODEL_NAME, version)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(content)
            self._client.log_artifact(found.run_id, str(path), artifact_path=_DOCUMENTS)

    def document(self, version: str, name: str) -> bytes | None:
        """A file kept with a version's run; None where there is none of that name.

        Parameters
        ----------
        version : str
            The version.
        name : str
            Of the file.
        """
        found = self._client.get_model_version(MODEL_NAME, version)
        try:
            path = self._mlflow.artifacts.download_artifacts(
                run_id=found.run_id,
                artifact_path=f"{_DOCUMENTS}/{name}",
                tracking_uri=self._uri,
            )
        except (self._mlflow.exceptions.MlflowException, OSError):
            return None
        return Path(path).read_bytes()

    def versions(self) -> list[Version]:
        """Every version, newest first."""
        found = self._client.search_model_versions(f"name = '{MODEL_NAME}'")
        rows = [self._client.get_model_version(MODEL_NAME, row.version) for row in found]
        rows.sort(key=lambda row: int(row.version), reverse=True)
        return [
            Version(
                version=str(row.version),
                aliases=tuple(row.aliases),
                run_id=row.run_id or "",
                created_at=row.creation_timestamp,
                tags=dict(row.tags),
            )
            for row in rows
        ]

    def load(self, alias_or_version: str = "champion") -> Registered:
        """A bundle by alias or version.

        Parameters
        ----------
        alias_or_version : str
            An alias such as ``champion``, or a version's digits.

        Raises
        ------
        RegistryError
            If there is no such model.
        BundleError
            If it is damaged or holds what it must not.
        """
        errors = self._mlflow.exceptions.MlflowException
        try:
            if alias_or_version.isdigit():
                found = self._client.get_model_version(MODEL_NAME, alias_or_version)
            else:
                found = self._client.get_model_version_by_alias(MODEL_NAME, alias_or_version)
        except errors as error:
            raise RegistryError(
                f"the registry has no model {MODEL_NAME}@{alias_or_version}; "
                "train one with `changerisk train`"
            ) from error
        try:
            folder = self._mlflow.artifacts.download_artifacts(
                run_id=found.run_id, artifact_path=_FOLDER, tracking_uri=self._uri
            )
        except (errors, OSError) as error:
            raise BundleError(
                f"the files of {MODEL_NAME} version {found.version} cannot be read: {error}"
            ) from error
        return Registered(model=load(Path(folder)), name=MODEL_NAME, version=str(found.version))


@contextmanager
def reached(settings: Settings) -> Iterator[Registry]:
    """The registry of the settings; opening it takes seconds, the first time more.

    Raises
    ------
    RegistryUnavailableError
        If it cannot be used, whatever MLflow or the database calls it.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        yield Registry(settings.mlflow_uri, settings.artifacts)
    except ChangeRiskError:
        raise
    except Exception as error:
        said = (str(error).splitlines() or [""])[0][:300]
        for secret in filter(None, [urlsplit(settings.mlflow_uri).password]):
            said = said.replace(secret, "***")
        raise RegistryUnavailableError(
            f"the model registry could not be used: {said or type(error).__name__}"
        ) from error
