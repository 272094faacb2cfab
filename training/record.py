"""What a training leaves in the registry, the same from the command line and from a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from features.catalogue import BY_NAME
from models.bundle import RiskModel
from models.registry import Registry
from models.snapshot import Snapshot
from training import plots
from training.card import make_card
from training.config import TrainingConfig
from training.evaluation_report import NAMES
from training.fit import Trained
from training.judging import CHAMPION
from training.metrics import flat
from training.views import View

INDENT = orjson.OPT_INDENT_2


def register(
    registry: Registry,
    trained: Trained,
    config: TrainingConfig,
    *,
    tags: Mapping[str, str],
    alias: str | None,
) -> str:
    """Log a training as a run and register its model; its version.

    The run has the parameters, the data snapshot with its schema, the metrics of the test window,
    and as documents the report, the card, the table's schema and the figures.

    Parameters
    ----------
    trained : Trained
        What :func:`training.fit.train` gave.
    tags : mapping of str to str
        ``label`` and ``source`` among them.
    alias : str, optional
        The registry's pointer to move to it.
    """
    model = trained.model
    watermark = model.training["watermark"]
    return registry.save(
        model,
        params={**config.params(), "label": model.policy.name, "watermark": watermark},
        metrics=flat(trained.report["models"][CHAMPION]),
        tags=tags,
        alias=alias,
        documents=documents(trained, tags),
        data=snapshot(trained, tags["source"]),
    )


def documents(trained: Trained, tags: Mapping[str, str]) -> dict[str, bytes]:
    """The files kept with a run, by name."""
    card = make_card(trained.model, version="as trained", tags=tags)
    texts = {
        "card.html": card.html(),
        "card.md": card.markdown(),
        **{f"{name}.svg": view.svg() for name, view in figures(trained).items()},
    }
    return {
        "report.json": orjson.dumps(trained.report, option=INDENT),
        "table.json": orjson.dumps(schema(trained.model), option=INDENT),
        **{name: text.encode() for name, text in texts.items()},
    }


def figures(trained: Trained) -> dict[str, View]:
    """The pictures of the test window, by name."""
    said, window = trained.said, trained.window
    shown = {NAMES[name]: said[name] for name in RANKINGS if name in said}
    return {
        "reliability": plots.reliability(said[CHAMPION], window.failed),
        "gain": plots.gain(shown, window.failed, trained.model.bands.review_budget),
        "months": plots.over_time(window.times, said[CHAMPION], window.failed),
    }


RANKINGS = (CHAMPION, "item_rate", "declared_risk", "logistic_regression")
"""Whose gain is drawn: more lines than these cannot be told apart."""


def schema(model: RiskModel) -> list[dict[str, Any]]:
    """The columns a model sees: name, type, unit, factor group, aggregate and window (days)."""
    found = []
    for name in model.columns:
        one = BY_NAME[name]
        found.append(
            {
                "name": name,
                "type": "float64",
                "unit": one.unit,
                "group": one.group,
                "aggregate": one.aggregate,
                "window_days": one.window_days,
            }
        )
    return found


def snapshot(trained: Trained, source: str) -> Snapshot:
    """The data a model was trained on."""
    made = trained.model.training
    return Snapshot(
        name=source,
        digest=made["table"],
        source={
            "watermark": made["watermark"],
            "history_from": made["history_from"],
            "history_until": trained.model.history_until.isoformat(),
        },
        columns=schema(trained.model),
        profile={**trained.report["rows"], "base_rate": trained.report["base_rate"]},
    )
