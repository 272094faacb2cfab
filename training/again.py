"""Training a registered model again from its recorded snapshot, settings and seed."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from features.progress import Progress, silent
from features.store import Store
from models.registry import Registered
from training.config import TrainingConfig, TrainingError
from training.fit import train


def train_again(
    store: Store, registered: Registered, *, now: datetime, progress: Progress = silent
) -> list[str]:
    """What differs between a model and the one its recorded snapshot gives today; empty if nothing.

    Parameters
    ----------
    now : datetime
        Time of the training, for the record only; it is not compared.

    Raises
    ------
    TrainingError
        If the model does not say how it was trained, or the snapshot is gone.
    """
    model = registered.model
    if "config" not in model.training:
        raise TrainingError(f"version {registered.version} does not say how it was trained")
    watermark, since = model.training["watermark"], model.training["history_from"]
    if store.watermark() < watermark:
        raise TrainingError(
            f"version {registered.version} saw write {watermark} of its store; this one has "
            f"{store.watermark()}: it is not the same store"
        )
    progress("load", 0, None)
    trained = train(
        store.load(until=watermark),
        model.policy,
        now=now,
        config=TrainingConfig.from_facts(model.training["config"]),
        as_of=model.history_until,
        history_from=None if since is None else datetime.fromisoformat(since),
        progress=progress,
    )
    old, new = model.facts(), trained.model.facts()
    # What older versions did not write down cannot differ.
    new["training"] = {name: new["training"][name] for name in old["training"]}
    differences = [
        name for name in sorted({*old, *new} - {"trained_at"}) if old.get(name) != new.get(name)
    ]
    ours, theirs = model.forest, trained.model.forest
    same = all(
        np.array_equal(getattr(ours, name), getattr(theirs, name), equal_nan=True)
        for name in ("value", "threshold")
    )
    return differences if same else [*differences, "trees"]
