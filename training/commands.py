"""Commands of those who label, train and compare."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import rich_click as click

from features.console import pairs, progress_bars, show
from features.options import JSON, LABEL, MOMENT, aware, now, policy_of, setting_moment, store_of
from features.settings import Settings
from training.evaluate_command import evaluate


@click.command()
@LABEL
@click.option("--window-days", type=click.FloatRange(min=0, min_open=True), help="Label window.")
@click.option("--max-priority", type=click.IntRange(1, 5), help="Count up to this priority.")
@click.option("--min-confidence", type=click.FloatRange(0, 1), help="Ignore weaker links.")
@click.option("--as-of", type=MOMENT, help="As far as was known then.")
@JSON
@click.pass_obj
def labels(
    settings: Settings,
    name: str | None,
    window_days: float | None,
    max_priority: int | None,
    min_confidence: float | None,
    as_of: datetime | None,
    as_json: bool,
) -> None:
    """Count which changes led to incidents, as far as is known, and by whose word."""
    from features.labels import summary, summary_lines
    from training.rows import observed_until

    store = store_of(settings)
    policy = policy_of(
        store,
        name,
        window_days=window_days,
        max_priority=max_priority,
        min_confidence=min_confidence,
    )
    history = store.load()
    moment = aware(as_of) or setting_moment(store, "observed_until")
    moment = moment or observed_until(history, policy)
    if moment is None:
        raise click.ClickException("the store holds nothing that decides this label; import first")
    found = summary(history, policy, as_of=moment)
    show(found, as_json, summary_lines(found))


@click.command()
@LABEL
@click.option("--as-of", type=MOMENT, help="Use only what was known then.")
@click.option("--alias", default="champion", show_default=True, help="Registry alias to move.")
@click.option("--if-missing", is_flag=True, help="Do nothing if the alias points to a model.")
@JSON
@click.pass_obj
def train(
    settings: Settings,
    name: str | None,
    as_of: datetime | None,
    alias: str,
    if_missing: bool,
    as_json: bool,
) -> None:
    """Fit a model, judge it on the newest mature changes beside its baselines, register it."""
    from models.registry import reached
    from training.config import TrainingConfig
    from training.fit import train as fit
    from training.report import lines

    store, config = store_of(settings), TrainingConfig()
    with reached(settings) as registry:
        present = registry.version_of(alias) if if_missing else None
    if present is not None:
        kept = f"the registry has a {alias} already: kept"
        show({"version": present, "alias": alias, "kept": True}, as_json, [kept])
        return
    policy = policy_of(store, name)
    with progress_bars() as progress:
        progress("load", 0, None)
        history = store.load()
        trained = fit(
            history,
            policy,
            now=now(),
            config=config,
            as_of=aware(as_of) or setting_moment(store, "observed_until"),
            history_from=setting_moment(store, "history_from"),
            progress=progress,
        )
        progress("register", 0, None)
        source = str(store.setting("source"))
        with reached(settings) as registry:
            version = registry.save(
                trained.model,
                params={**config.params(), "label": policy.name, "watermark": history.watermark},
                metrics=_flat(trained.report["models"]["champion"]),
                tags={"label": policy.name, "source": source},
                alias=alias,
            )
    synthetic = store.setting("source") == "demo"
    result = {"version": version, "alias": alias, "label": policy.name, "synthetic": synthetic}
    show({**result, **trained.report}, as_json, lines(version, alias, trained.report))


@click.group()
def model() -> None:
    """The models in the registry."""


@model.command("list")
@JSON
@click.pass_obj
def model_list(settings: Settings, as_json: bool) -> None:
    """List every version, newest first."""
    from models.registry import reached

    with reached(settings) as registry:
        versions = [vars(version) for version in registry.versions()]
    lines = [
        f"version {v['version']}  {', '.join(v['aliases']) or '-'}  {pairs(v['tags'])}"
        for v in versions
    ]
    show({"versions": versions}, as_json, lines or ["no model yet: changerisk train"])


def _flat(metrics: dict[str, Any]) -> dict[str, float]:
    """Metrics as a run records them: one number a name."""
    found = {}
    for name, value in metrics.items():
        nested = value.items() if isinstance(value, dict) else [("", value)]
        found.update({f"{name}_{k}".rstrip("_"): float(v) for k, v in nested if v is not None})
    return found


COMMANDS = (labels, train, evaluate, model)
