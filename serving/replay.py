"""Replay: a past answer computed again from the history and the model of its time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from features import instants
from features.errors import ChangeRiskError
from features.state import FeatureState
from features.store import Store
from models.bundle import BundleError
from models.explanation import Explainer
from models.registry import Registry, RegistryError
from serving.contract import ChangeIn
from serving.scoring import score_one


class ReplayError(ChangeRiskError):
    """A score cannot be replayed; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What a replay found.

    Parameters
    ----------
    equal : bool
        Whether features, probability and factors are the same, bit for bit.
    differences : list of str
        What differs.
    """

    score_id: str
    equal: bool
    incident_probability: float
    differences: list[str] = field(default_factory=list)


def replay(store: Store, registry: Registry, score_id: str) -> Replay:
    """Compute a journaled score again and compare.

    Raises
    ------
    ReplayError
        If there is no such score, or its model is gone.
    """
    entry = store.journal_entry(score_id)
    if entry is None or entry.kind != "score":
        raise ReplayError(f"the journal has no score {score_id!r}")
    body, answer = entry.body, entry.body["answer"]
    if answer["status"] == "not_scored":
        raise ReplayError("that change was not scored: there is nothing to replay")
    try:
        registered = registry.load(answer["model"]["version"])
    except (RegistryError, BundleError) as error:
        raise ReplayError(f"the model of that score cannot be loaded: {error}") from error
    as_of = instants.from_micros(body["as_of"])
    if as_of is None:
        raise ReplayError("the journal entry has no moment")
    history = store.load(until=body["watermark"]).placed(registered.model.place)
    state = FeatureState(history, registered.model.policy)
    change = ChangeIn.model_validate(body["payload"])
    record = change.to_record(revision=body["revision"], known_at=entry.written_at)
    scored = score_one(record, as_of, registered, state, Explainer(registered.model))
    then = np.array(body["features"], np.float64)
    now_factors = [(f.group, f.text, f.value, f.log_odds, f.points) for f in scored.factors]
    then_factors = [
        (f["group"], f["text"], f["value"], f["log_odds"], f["points"]) for f in answer["factors"]
    ]
    checks = {
        "features": np.array_equal(then, scored.table.values[0], equal_nan=True),
        "incident_probability": scored.probability == answer["incident_probability"],
        "factors": now_factors == then_factors,
    }
    if body.get("explain") == "none":  # scored in bulk, without reasons
        del checks["factors"]
    differences = [name for name, same in checks.items() if not same]
    return Replay(
        score_id=score_id,
        equal=not differences,
        incident_probability=scored.probability,
        differences=differences,
    )
