"""``changerisk build``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import rich_click as click

from features.console import pairs, progress_bars, show
from features.options import JSON, LABEL, MOMENT, aware, policy_of, setting_moment, store_of
from features.settings import Settings


@click.command()
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Where the table goes, such as table.parquet; it must not exist yet.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "spark"]),
    default="local",
    show_default=True,
    help="local: this process, one file. spark: Apache Spark, a folder of files.",
)
@click.option("--master", help="spark only: where it runs, such as yarn.  [default: local[*]]")
@click.option(
    "--partitions",
    type=click.IntRange(1, 100_000),
    help="spark only: number of tasks.  [default: four a core]",
)
@LABEL
@click.option("--as-of", type=MOMENT, help="Use only what was known then.")
@JSON
@click.pass_obj
def build(
    settings: Settings,
    out: Path,
    engine: str,
    master: str | None,
    partitions: int | None,
    name: str | None,
    as_of: datetime | None,
    as_json: bool,
) -> None:
    """Write the training table as Parquet: every feature of every change at its score time.

    One row a change, by the facts known before the moment in its column as_of, and beside the
    features what became of it, as far as is known. It is the table `changerisk train` fits on;
    both engines write the same rows, bit for bit (docs/spark.md).
    """
    if engine == "local" and (master or partitions):
        raise click.UsageError("--master and --partitions go with --engine spark only")
    if out.exists():
        raise click.UsageError(f"{out} exists already: name another file or remove it")
    from features.state import FeatureState
    from training.build import Questions, build_here
    from training.rows import observed_until, spine
    from training.spark import build_there, ready

    if engine == "spark":
        ready()
    store = store_of(settings)
    policy = policy_of(store, name)
    with progress_bars() as progress:
        progress("load", 0, None)
        history = store.load()
        end = aware(as_of) or setting_moment(store, "observed_until")
        end = end or observed_until(history, policy)
        if end is None:
            raise click.ClickException(
                "the store holds nothing that decides this label; import first"
            )
        since = setting_moment(store, "history_from")
        rows = spine(history, policy, as_of=end, history_from=since)
        questions = Questions.of(rows, end)
        progress("index", 0, None)
        state = FeatureState(rows.known, policy)
        del history, rows  # the table asks for no facts any more
        place = out.absolute()
        if engine == "local":
            build_here(questions, state.without_facts(), place, progress)
        else:
            build_there(
                questions,
                state,
                place,
                master=master or "local[*]",
                partitions=partitions,
                progress=progress,
            )
    outcomes = questions.counts()
    found = {
        "out": str(out),
        "engine": engine,
        "label": policy.name,
        "as_of": end.isoformat(),
        "rows": len(questions),
        "outcomes": outcomes,
    }
    said = (
        f"{len(questions):,} rows as of {end.isoformat()}, label {policy.name}: {pairs(outcomes)}"
    )
    show(found, as_json, [said, f"written: {out}"])
