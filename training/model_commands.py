"""Commands about models that are trained: compare, promote, roll back, watch, describe."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import rich_click as click

from features.console import pairs, progress_bars, show, tell
from features.errors import ChangeRiskError
from features.options import JSON, MOMENT, aware, now, setting_moment, store_of
from features.settings import Settings

if TYPE_CHECKING:
    from features.history import History
    from features.policy import LabelPolicy
    from features.store import Store
    from training.promotion import Comparison

REASON = click.option(
    "--reason", help="Why, in words: kept in the journal and on the model's card."
)
BY = click.option("--by", help="Who decides.  [default: the user of this machine]")


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


@model.command("card")
@click.argument("version", default="champion")
@click.option("--html", "as_html", is_flag=True, help="HTML instead of Markdown.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
@JSON
@click.pass_obj
def model_card(
    settings: Settings, version: str, as_html: bool, out: Path | None, as_json: bool
) -> None:
    """Write the model card of VERSION (a number or an alias) from the facts on record."""
    from models.registry import reached
    from training.card import make_card

    with reached(settings) as registry:
        registered = registry.load(version)
        tags = {v.version: v.tags for v in registry.versions()}[registered.version]
        kept = registry.document(registered.version, "comparison.json")
    card = make_card(
        registered.model,
        version=registered.version,
        tags=tags,
        comparison=None if kept is None else orjson.loads(kept),
    )
    text = card.html() if as_html else card.markdown()
    if out is None:
        show(asdict(card), as_json, [text])
    else:
        out.write_text(text, encoding="utf-8")
        tell(f"written to {out}")


@model.command("replay")
@click.argument("version", default="champion")
@JSON
@click.pass_obj
def model_replay(settings: Settings, version: str, as_json: bool) -> None:
    """Train VERSION again from its snapshot, settings and seed, and compare bit for bit."""
    from models.registry import reached
    from training.again import train_again

    store = store_of(settings)
    with progress_bars() as progress:
        with reached(settings) as registry:
            registered = registry.load(version)
        differences = train_again(store, registered, now=now(), progress=progress)
    equal = not differences
    word = "equal, bit for bit" if equal else f"differs in {', '.join(differences)}"
    result = {"version": registered.version, "equal": equal, "differences": differences}
    show(result, as_json, [f"version {registered.version}: {word}"])
    if not equal:
        raise SystemExit(1)


@click.command()
@click.argument("version", default="challenger")
@REASON
@BY
@click.option("--as-of", type=MOMENT, help="Judge only on what was known then.")
@click.option("--dry-run", is_flag=True, help="Compare and say, but change nothing.")
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    metavar="CODE",
    help="An audit whose failure shall not refuse; may be given several times.",
)
@click.option("--override", is_flag=True, help="Promote although the rule refuses.")
@JSON
@click.pass_obj
def promote(
    settings: Settings,
    version: str,
    reason: str | None,
    by: str | None,
    as_of: datetime | None,
    dry_run: bool,
    accepted: tuple[str, ...],
    override: bool,
    as_json: bool,
) -> None:
    """Make VERSION the champion if the written rule lets it (docs/promotion.md).

    Champion and challenger are judged on the same changes, which neither has seen. The service
    takes the new champion up within seconds, without a restart. Exit code 1: refused.
    """
    from models.registry import RegistryError, reached
    from training.champion import move
    from training.promotion import compare

    if not reason and not dry_run:
        raise click.UsageError("say why with --reason, or look first with --dry-run")
    store = store_of(settings)
    with progress_bars() as progress, reached(settings) as registry:
        champion, challenger = registry.load("champion"), registry.load(version)
        if champion.version == challenger.version:
            raise RegistryError(f"version {champion.version} is the champion already")
        history = store.load()
        found = compare(
            history,
            champion,
            challenger,
            as_of=_end(store, history, champion.model.policy, as_of),
            now=now(),
            accepted=accepted,
            progress=progress,
        )
        done = not dry_run and (found.promotes or override)
        if done:
            move(
                registry,
                store,
                challenger.version,
                reason=reason or "",
                by=by or getpass.getuser(),
                now=now(),
                found=found,
            )
    result = {"promoted": done, "override": done and not found.promotes, **found.facts()}
    show(result, as_json, [*_lines(found), "", _word(found, done, dry_run)])
    if not (found.promotes or done):
        raise SystemExit(1)


@click.command()
@REASON
@BY
@JSON
@click.pass_obj
def rollback(settings: Settings, reason: str | None, by: str | None, as_json: bool) -> None:
    """Make the champion before this one the champion again."""
    from models.registry import reached
    from training.champion import go_back

    if not reason:
        raise click.UsageError("say why with --reason")
    store = store_of(settings)
    with reached(settings) as registry:
        previous, present = go_back(
            registry, store, reason=reason, by=by or getpass.getuser(), now=now()
        )
    result = {"champion": previous, "previous": present}
    show(result, as_json, [f"version {previous} is the champion again, instead of {present}"])


@click.command()
@click.option("--model", "alias", default="champion", show_default=True, help="Version or alias.")
@click.option("--as-of", type=MOMENT, help="Use only what was known then.")
@JSON
@click.pass_obj
def monitor(settings: Settings, alias: str, as_of: datetime | None, as_json: bool) -> None:
    """Compare what the model says with what happened, on mature weeks, and look for drift.

    Judges the answers in the journal; where too few of them are mature, the scores the model would
    have given to the changes since its training. Exit code 1: an alarm.
    """
    from models.registry import reached
    from training.monitoring import journaled, lines
    from training.monitoring import monitor as look

    store = store_of(settings)
    with progress_bars() as progress:
        with reached(settings) as registry:
            registered = registry.load(alias)
        history = store.load()
        found = look(
            history,
            registered,
            journaled(store.journal_entries(), registered.version),
            as_of=_end(store, history, registered.model.policy, as_of),
            progress=progress,
        )
    show(found.facts(), as_json, lines(found))
    if found.alarms:
        raise SystemExit(1)


class NothingKnownError(ChangeRiskError):
    """The history holds nothing that decides the label."""


def _end(store: Store, history: History, policy: LabelPolicy, as_of: datetime | None) -> datetime:
    """Up to when outcomes are known: as asked, as the source says, or as the records show."""
    from training.rows import observed_until

    end = aware(as_of) or setting_moment(store, "observed_until") or observed_until(history, policy)
    if end is None:
        raise NothingKnownError("the store holds nothing that decides this label; import first")
    return end


def _lines(found: Comparison) -> list[str]:
    window = found.window
    said = [
        f"champion {found.champion} and challenger {found.challenger} on {window['changes']:,} "
        f"changes with {window['failures']:,} failures ({window['from'][:10]} to "
        f"{window['to'][:10]})"
    ]
    said += [
        f"version {version} has seen some of them: judged by its twin, trained on what came before"
        for version in found.twins
    ]
    said += ["", f"{'':14}{'ROC AUC':>10}{'AP':>8}{'10 %':>8}{'ECE':>8}"]
    for version, one in found.models.items():
        cells = (one["roc_auc"], one["average_precision"], one["recall_at"]["0.1"], one["ece"])
        shown = [f"{'-' if cell is None else f'{cell:.3f}':>8}" for cell in cells]
        said.append(f"version {version:6}" + "  ".join(shown[:1]) + "".join(shown[1:]))
    said.append("")
    marks = {"passed": "passed ", "failed": "FAILED ", "not_applicable": "n/a    "}
    said += [
        f"{marks[one.outcome]} {one.code}: {one.sentence}"
        f"{' (accepted)' if one.outcome == 'failed' and one.code in found.accepted else ''}"
        for one in found.conditions
    ]
    return said


def _word(found: Comparison, done: bool, dry_run: bool) -> str:
    if done:
        word = "" if found.promotes else " although the rule refuses"
        return f"version {found.challenger} is the champion now{word}"
    if dry_run and found.promotes:
        return "the rule would let it: run again without --dry-run"
    return f"refused: version {found.champion} stays the champion"


COMMANDS = (model, promote, rollback, monitor)
