"""Commands of those who label, train and compare."""

from __future__ import annotations

from datetime import datetime

import rich_click as click

from features.console import progress_bars, show
from features.options import JSON, LABEL, MOMENT, aware, now, policy_of, setting_moment, store_of
from features.settings import Settings
from training.build_command import build
from training.evaluate_command import evaluate


@click.command()
@LABEL
@click.option("--window-days", type=click.FloatRange(min=0, min_open=True), help="Label window.")
@click.option("--max-priority", type=click.IntRange(1, 5), help="Count up to this priority.")
@click.option("--min-confidence", type=click.FloatRange(0, 1), help="Ignore weaker links.")
@click.option("--as-of", type=MOMENT, help="As known then, with outcomes recorded up to then.")
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
@click.option(
    "--alias",
    help="Registry alias to move.  [default: champion where there is none yet, else challenger]",
)
@click.option("--if-missing", is_flag=True, help="Do nothing if the alias points to a model.")
@JSON
@click.pass_obj
def train(
    settings: Settings,
    name: str | None,
    as_of: datetime | None,
    alias: str | None,
    if_missing: bool,
    as_json: bool,
) -> None:
    """Fit a model, judge it on the newest mature changes beside its baselines, register it.

    The first model becomes the champion, which scores. Later ones become the challenger, until
    `changerisk promote` finds them good enough.
    """
    from models.registry import reached
    from training.config import TrainingConfig
    from training.fit import train as fit
    from training.record import register
    from training.report import lines

    store, config = store_of(settings), TrainingConfig()
    with reached(settings) as registry:
        champion = registry.version_of("champion")
        present = registry.version_of(alias) if alias else champion
    alias = alias or ("challenger" if champion else "champion")
    if if_missing and present is not None:
        alias = alias if alias != "challenger" else "champion"
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
            version = register(
                registry,
                trained,
                config,
                tags={"label": policy.name, "source": source},
                alias=alias,
            )
    synthetic = store.setting("source") == "demo"
    result = {"version": version, "alias": alias, "label": policy.name, "synthetic": synthetic}
    said = lines(version, alias, trained.report)
    if alias == "challenger":
        said += ["", "compare it with the champion: changerisk promote --dry-run"]
    show({**result, **trained.report}, as_json, said)


COMMANDS = (labels, build, train, evaluate)
