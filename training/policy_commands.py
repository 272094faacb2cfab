"""Commands about the policy: show it, check it, rehearse it on past changes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from features.console import progress_bars, show
from features.options import JSON, LABEL, MOMENT, aware, policy_of, setting_moment, store_of
from features.settings import Settings
from training.evaluate_command import FOLDS, TEST_FROM

if TYPE_CHECKING:
    from models.routing import RoutingPolicy, Rule

FILE = click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def policy() -> None:
    """Which way changes may take: bands and rules, from one commented file.

    The file is CHANGERISK_HOME/policy.toml; without it the defaults hold. See docs/policy.md.
    """


@policy.command("show")
@click.option("--version", "version", help="What the policy of this version said, once in force.")
@JSON
@click.pass_obj
def policy_show(settings: Settings, version: str | None, as_json: bool) -> None:
    """Show the policy in force in words."""
    from models.policy_file import kept_as, load, parsed

    if version is None:
        found = load(settings.home)
    else:
        kept = store_of(settings).setting(kept_as(version))
        if kept is None:
            raise click.UsageError(f"no policy of version {version!r} was ever in force here")
        found = parsed(kept, f"policy {version}")
    show(_facts(found), as_json, _lines(found))


@policy.command("example")
def policy_example() -> None:
    """Print the policy file with its defaults and a comment on everything.

    Copy what you change into CHANGERISK_HOME/policy.toml.
    """
    from models.policy_file import DEFAULTS

    click.echo(DEFAULTS.read_text(encoding="utf-8"), nl=False)


@policy.command("check")
@FILE
@JSON
@click.pass_obj
def policy_check(settings: Settings, file: Path | None, as_json: bool) -> None:
    """Check FILE, or the policy in force, and name every fault with its path.

    Exit code 2 where it cannot be used. What can be used but was hardly meant, such as a rule that
    never decides, is noted.
    """
    found = _policy(settings, file)
    oddities = list(found.oddities())
    lines = [f"{found.source}: fine; {len(found.rules)} rules, version {found.version}"]
    lines += [f"note: {oddity}" for oddity in oddities]
    result = {"source": found.source, "policy": found.version, "oddities": oddities}
    show({**result, "rules": len(found.rules)}, as_json, lines)


@policy.command("rehearse")
@FILE
@LABEL
@FOLDS
@TEST_FROM
@click.option("--as-of", type=MOMENT, help="Use only what was known then.")
@JSON
@click.pass_obj
def policy_rehearse(
    settings: Settings,
    file: Path | None,
    name: str | None,
    folds: int,
    test_from: datetime | None,
    as_of: datetime | None,
    as_json: bool,
) -> None:
    """Say which way the changes of past quarters would have gone, and where the failures were.

    Every change is scored by a model fitted only on what was known before its window. With FILE its
    policy is rehearsed beside the one in force. Nothing is kept; the digits are always the same.
    """
    from training.config import TrainingConfig
    from training.judging import Subject, judge
    from training.rehearsal import lines, rehearsed

    policies = [_policy(settings, None)]
    if file is not None:
        policies.append(_policy(settings, file))
    store = store_of(settings)
    label = policy_of(store, name)
    with progress_bars() as progress:
        progress("build the table", 0, None)
        subject = Subject.of(
            store.load(),
            label,
            TrainingConfig(),
            as_of=aware(as_of) or setting_moment(store, "observed_until"),
            history_from=setting_moment(store, "history_from"),
        )
        found = judge(
            subject,
            folds=folds,
            test_from=aware(test_from),
            champion_only=True,
            progress=progress,
        )
        progress("rehearse", 0, None)
        report = rehearsed(subject, found, policies)
    show(report, as_json, lines(report))


def _policy(settings: Settings, file: Path | None) -> RoutingPolicy:
    from models.policy_file import load, read

    return load(settings.home) if file is None else read(file)


def _facts(found: RoutingPolicy) -> dict[str, Any]:
    return {
        "policy": found.version,
        "digest": found.digest,
        "source": found.source,
        **found.content,
        "mode": found.mode,
        "oddities": list(found.oddities()),
    }


def _lines(found: RoutingPolicy) -> list[str]:
    cuts = {name: value for name, value in vars(found.cuts).items() if value is not None}
    said = ", ".join(f"{name} {value:g}" for name, value in cuts.items())
    lines = [
        f"policy {found.version} ({found.source}), mode {found.mode}",
        f"bands: {said or 'as the model has them'}",
    ]
    for number, rule in enumerate(found.rules, start=1):
        tried = " (in shadow)" if rule.shadow else ""
        lines.append(f"{number:3}. {rule.name}: {_conditions(rule)} -> {_route(rule)}{tried}")
    lines.append(f"     otherwise -> {_route(found.otherwise)}")
    return lines + [f"note: {oddity}" for oddity in found.oddities()]


def _route(rule: Rule) -> str:
    return rule.route.replace("_", " ")


def _conditions(rule: Rule) -> str:
    """What a rule asks, in words."""
    from models.bands import BANDS

    said = []
    if rule.band:
        said.append("band " + " or ".join(b.replace("_", " ") for b in BANDS if b in rule.band))
    said += [
        f"{name.replace('_', ' ')} {' or '.join(sorted(words))}"
        for name, words in rule.words.items()
    ]
    flags = {"degraded": rule.degraded, "board asked for": rule.cab_required}
    said += [name if on else f"not {name}" for name, on in flags.items() if on is not None]
    if rule.probability_at_least is not None:
        said.append(f"probability at least {rule.probability_at_least:g}")
    if rule.probability_below is not None:
        said.append(f"probability below {rule.probability_below:g}")
    said += [f"{name} at least {number:g}" for name, number in rule.at_least.items()]
    said += [f"{name} below {number:g}" for name, number in rule.below.items()]
    return ", ".join(said) or "every change"


COMMANDS = (policy,)
