"""``changerisk evaluate``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import rich_click as click

from features.console import progress_bars, show, tell
from features.options import JSON, LABEL, MOMENT, aware, policy_of, setting_moment, store_of
from features.settings import Settings

FOLDS = click.option(
    "--folds",
    type=click.IntRange(2, 24),
    default=4,
    show_default=True,
    help="Test windows one after another over the newest 40 % of the changes.",
)
TEST_FROM = click.option(
    "--test-from", type=MOMENT, help="One test window from then on, not several."
)


@click.command()
@LABEL
@TEST_FROM
@FOLDS
@click.option(
    "--retrains",
    type=click.IntRange(0, 50),
    default=3,
    show_default=True,
    help="Models fitted again on random parts, to see how stable list and reasons are; 0: none.",
)
@click.option("--as-of", type=MOMENT, help="Use only what was known then.")
@click.option(
    "--figures",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw the splits, the reliability and the months into this folder.",
)
@JSON
@click.pass_obj
def evaluate(
    settings: Settings,
    name: str | None,
    test_from: datetime | None,
    folds: int,
    retrains: int,
    as_of: datetime | None,
    figures: Path | None,
    as_json: bool,
) -> None:
    """Judge the way of training on windows it had not seen, beside its baselines.

    Every window is scored by a model fitted only on what was known before it: train, a gap as wide
    as the label's window, calibrate, another gap, test. Changes under one ticket and copies of one
    change stay on one side. Nothing is registered; the digits are the same every time.

    docs/evaluation.md explains the protocol and every figure.
    """
    from training.evaluate import evaluate as judge
    from training.evaluation_report import lines

    store = store_of(settings)
    policy = policy_of(store, name)
    with progress_bars() as progress:
        progress("load", 0, None)
        found = judge(
            store.load(),
            policy,
            as_of=aware(as_of) or setting_moment(store, "observed_until"),
            history_from=setting_moment(store, "history_from"),
            folds=folds,
            test_from=aware(test_from),
            retrains=retrains,
            progress=progress,
        )
    for path in found.draw(figures) if figures else ():
        tell(f"drawn: {path}")
    show(found.report, as_json, lines(found.report))
