"""The command line: wires the packages together and does nothing else.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 did not succeed, 2 bad input
or usage, 4 store or registry out of reach, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

try:
    import rich_click as click
    from click.exceptions import Exit

    from features.sources import SOURCES, SourceError, import_source
    from features.store import Store, StoreError, StoreUnavailableError
    from serving.console import err, pairs, progress_bars, show, tell
    from serving.settings import Settings, SettingsError
except KeyboardInterrupt:  # the imports take a second or two
    sys.exit(130)

if TYPE_CHECKING:
    from features.policy import LabelPolicy
    from models.registry import Registry

# Threads that wait for one another must sleep, not spin: beside other work spinning costs minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("DO_NOT_TRACK", "true")
# A registry out of reach is said within seconds; MLflow would try for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

click.rich_click.MAX_WIDTH = 100

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%SZ"])


class RegistryUnavailableError(Exception):
    """The model registry cannot be used."""


def main() -> None:
    """Run the command line; turn every known failure into a sentence and an exit code."""
    try:
        cli(prog_name="changerisk", standalone_mode=False)
    except Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        err.print("interrupted; nothing half-written was kept")
        sys.exit(130)
    except (SourceError, SettingsError) as error:
        _fail(error, 2)
    except (StoreUnavailableError, RegistryUnavailableError) as error:
        _fail(error, 4)
    except BrokenPipeError:  # whoever read the results has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (StoreError, OSError) as error:
        _fail(error, 1)


def _fail(error: object, code: int) -> None:
    err.print("[bold red]Error:[/] ", end="")
    err.print(str(error), markup=False, soft_wrap=True)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="change-risk")
@click.pass_context
def cli(context: click.Context) -> None:
    """How likely a planned IT change is to cause an incident, why, and what would lower it.

    A first round, in this order:

    \b
      changerisk demo                     a synthetic organisation to try things on
      changerisk import csv ./export      or your own changes and incidents
      changerisk labels                   which changes led to incidents, and who says so
      changerisk train                    fit, judge and register a model
      changerisk score change.json        probability, reasons, evidence
      changerisk serve                    the same over HTTP

    Everything lives in the folder CHANGERISK_HOME (default ./var): one folder, one organisation.
    """  # noqa: D301 - \b keeps the lines as they are
    context.obj = Settings.from_environment(os.environ)


@cli.command()
@click.option("--changes", default=20_000, show_default=True, help="Number of changes.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=7,
    show_default=True,
    help="Same seed, same organisation.",
)
@click.option("--until", type=MOMENT, help="Last day of its history.  [default: today]")
@click.option("--noise-only", is_flag=True, help="Incidents fall at random: no model can be good.")
@click.option("--if-empty", is_flag=True, help="Do nothing if the store holds changes already.")
@JSON
@click.pass_obj
def demo(
    settings: Settings,
    changes: int,
    seed: int,
    until: datetime | None,
    noise_only: bool,
    if_empty: bool,
    as_json: bool,
) -> None:
    """Make a synthetic organisation with known causes, for a first look, tests and notebooks."""
    from features.synthetic import organisation
    from serving.contract import neutral

    store = Store(settings.store_url)
    # A demo broken off before its settings were written is simply made again.
    if store.setting("source") is not None:
        if if_empty:
            kept = "the store holds changes already: kept"
            show({"synthetic": store.setting("source") == "demo", "kept": True}, as_json, [kept])
            return
        raise click.ClickException(
            "the store holds changes already; choose an empty folder with CHANGERISK_HOME, or "
            f"remove {settings.home}"
        )
    day = _aware(until) or _now().replace(hour=0, minute=0, second=0, microsecond=0)
    settings.home.mkdir(parents=True, exist_ok=True)
    with progress_bars() as progress:
        try:
            made = organisation(
                seed=seed, until=day, changes=changes, noise_only=noise_only, progress=progress
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        with store.write("demo", now=_now()) as writer:
            stored = writer.add(made.records, lambda done: progress("store", done, None))
    store.set_setting("label", {"name": "incident"})
    (settings.home / "upcoming.jsonl").write_bytes(b"".join(neutral(c) for c in made.upcoming))
    store.set_setting("source", "demo")
    result = {"synthetic": True, "description": made.describe(), "stored": stored}
    show(result, as_json, [made.describe(), f"stored: {pairs(stored)}"])


@cli.command("import")
@click.argument("source", type=click.Choice(sorted(SOURCES)))
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="csv only: which column holds which field (see docs/csv-mapping.md).",
)
@JSON
@click.pass_obj
def import_(
    settings: Settings, source: str, path: Path, mapping: Path | None, as_json: bool
) -> None:
    """Read an export into the store; what is there already is not stored again.

    \b
      bpic14            BPI Challenge 2014, Rabobank's changes and incidents
      wikimedia-config  Wikimedia's site configuration changes
      wikimedia-puppet  Wikimedia's server configuration changes
      csv               CSV or Parquet tables of your own
    """  # noqa: D301 - \b keeps the lines as they are
    if mapping is not None and source != "csv":
        raise click.UsageError("--mapping goes with the source csv only")
    store = Store(settings.store_url)
    with progress_bars() as progress:
        report = import_source(
            store,
            source,
            path,
            now=_now(),
            rejects=settings.home / "rejected",
            progress=progress,
            options={} if mapping is None else {"mapping": mapping},
        )
    show(vars(report), as_json, report.lines())


@cli.command()
@click.option("--label", "name", help="incident, failed or incident_rise.")
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

    store = Store(settings.store_url)
    policy = _policy(
        store,
        name,
        window_days=window_days,
        max_priority=max_priority,
        min_confidence=min_confidence,
    )
    history = store.load()
    moment = _aware(as_of) or _setting_moment(store, "observed_until")
    moment = moment or observed_until(history, policy)
    if moment is None:
        raise click.ClickException("the store holds nothing that decides this label; import first")
    found = summary(history, policy, as_of=moment)
    show(found, as_json, summary_lines(found))


@cli.command()
@click.option("--label", "name", help="incident, failed or incident_rise.")
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
    from training.config import TrainingConfig, TrainingError
    from training.fit import train as fit
    from training.report import lines

    store, config = Store(settings.store_url), TrainingConfig()
    with _registry(settings) as registry:
        present = registry.version_of(alias) if if_missing else None
    if present is not None:
        kept = f"the registry has a {alias} already: kept"
        show({"version": present, "alias": alias, "kept": True}, as_json, [kept])
        return
    policy = _policy(store, name)
    with progress_bars() as progress:
        progress("load", 0, None)
        history = store.load()
        try:
            trained = fit(
                history,
                policy,
                now=_now(),
                config=config,
                as_of=_aware(as_of) or _setting_moment(store, "observed_until"),
                history_from=_setting_moment(store, "history_from"),
                progress=progress,
            )
        except TrainingError as error:
            raise click.ClickException(str(error)) from error
        progress("register", 0, None)
        source = str(store.setting("source"))
        with _registry(settings) as registry:
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


@cli.command()
@click.argument("file", type=click.File("rb"))
@JSON
@click.pass_obj
def score(settings: Settings, file: IO[bytes], as_json: bool) -> None:
    """Score changes from FILE (- for stdin): a JSON object, an array, or one object a line.

    Gives the same answers as the service and records them in the same journal.
    """
    from serving.offline import answers
    from serving.plaintext import lines

    refused = 0
    with progress_bars() as progress:
        for answer, problem in answers(settings, file, progress):
            if answer is None:
                refused += 1
                err.print_json(data=problem)
            elif as_json:
                click.echo(answer.model_dump_json())
            else:
                show({}, False, [*lines(answer), ""])
    if refused:
        raise SystemExit(2)


@cli.command()
@click.option("--host", help="Address to listen on.  [default: CHANGERISK_HOST or 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(1, 65_535), help="Port.  [default: CHANGERISK_PORT or 3000]"
)
@click.option("--example", is_flag=True, help="Print an example change with its curl command.")
@click.pass_obj
def serve(settings: Settings, host: str | None, port: int | None, example: bool) -> None:
    """Serve the score over HTTP until interrupted."""
    from serving.launch import launch

    sys.exit(launch(settings, host or settings.host, port or settings.port, example, tell))


@cli.group()
def model() -> None:
    """The models in the registry."""


@model.command("list")
@JSON
@click.pass_obj
def model_list(settings: Settings, as_json: bool) -> None:
    """List every version, newest first."""
    with _registry(settings) as registry:
        versions = [vars(version) for version in registry.versions()]
    lines = [
        f"version {v['version']}  {', '.join(v['aliases']) or '-'}  {pairs(v['tags'])}"
        for v in versions
    ]
    show({"versions": versions}, as_json, lines or ["no model yet: changerisk train"])


@cli.group()
def keys() -> None:
    """API keys of the people and machines that call the service."""


@keys.command("create")
@click.argument("name")
@click.option("--role", default="service", show_default=True, help="What the key may do.")
@click.option("--days", type=click.IntRange(min=1), help="Days until it expires.  [default: never]")
@JSON
@click.pass_obj
def keys_create(settings: Settings, name: str, role: str, days: int | None, as_json: bool) -> None:
    """Make a key for NAME; it is shown once and only its digest is stored."""
    from serving.keys import create

    now = _now()
    try:
        key = create(
            Store(settings.store_url),
            name=name,
            role=role,
            now=now,
            expires_at=None if days is None else now + timedelta(days=days),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    show({"name": name, "role": role, "key": key}, as_json, [key])


@keys.command("list")
@JSON
@click.pass_obj
def keys_list(settings: Settings, as_json: bool) -> None:
    """List the keys, without the keys themselves."""
    rows = [
        {k: v for k, v in row.items() if k != "digest"}
        for row in Store(settings.store_url).api_keys()
    ]
    lines = [
        f"{row['key_id']}  {row['role']}  {row['name']}{'  revoked' if row['revoked_at'] else ''}"
        for row in rows
    ]
    show({"keys": rows}, as_json, lines or ["no key yet: changerisk keys create NAME"])


@keys.command("revoke")
@click.argument("key_id")
@JSON
@click.pass_obj
def keys_revoke(settings: Settings, key_id: str, as_json: bool) -> None:
    """Revoke the key KEY_ID (the first column of `changerisk keys list`) from now on."""
    if not Store(settings.store_url).revoke_key(key_id, now=_now()):
        raise click.UsageError(f"there is no live key {key_id!r}; see changerisk keys list")
    show({"key_id": key_id, "revoked": True}, as_json, [f"{key_id} is revoked"])


@cli.group()
def audit() -> None:
    """The journal of every answer given."""


@audit.command("verify")
@JSON
@click.pass_obj
def audit_verify(settings: Settings, as_json: bool) -> None:
    """Recompute the journal's chain of hashes."""
    from serving.journal import verify

    found = verify(Store(settings.store_url))
    word = f"broken: {found.fault}" if found.fault else "the chain holds"
    show(vars(found), as_json, [f"{found.entries} entries, {word}; head {found.head}"])
    if found.fault:
        raise SystemExit(1)


@audit.command("replay")
@click.argument("score_id")
@JSON
@click.pass_obj
def audit_replay(settings: Settings, score_id: str, as_json: bool) -> None:
    """Compute a past answer again from the history and the model of its time, bit for bit."""
    from serving.replay import ReplayError, replay

    store = Store(settings.store_url)
    try:
        with _registry(settings) as registry:
            found = replay(store, registry, score_id)
    except ReplayError as error:
        raise click.ClickException(str(error)) from error
    word = "equal, bit for bit" if found.equal else f"differs in {', '.join(found.differences)}"
    show(vars(found), as_json, [f"{score_id}: {word}"])
    if not found.equal:
        raise SystemExit(1)


def _now() -> datetime:
    return datetime.now(UTC)


def _aware(moment: datetime | None) -> datetime | None:
    """A moment of the command line; without an offset it is UTC."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)


def _setting_moment(store: Store, name: str) -> datetime | None:
    value = store.setting(name)
    return None if value is None else datetime.fromisoformat(value)


def _policy(store: Store, name: str | None, **changed: Any) -> LabelPolicy:
    """The label asked for, else the store's own, else ``incident``."""
    from features.policy import policy_from

    stored = store.setting("label") or {"name": "incident"}
    try:
        return policy_from(name, **changed) if name else policy_from(**{**stored, **changed})
    except ValueError as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def _registry(settings: Settings) -> Iterator[Registry]:
    """The registry; opening it takes seconds, the first time more."""
    from models.registry import Registry
    from serving.replay import ReplayError

    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        yield Registry(settings.mlflow_uri, settings.artifacts)
    except (StoreError, ReplayError):
        raise
    except Exception as error:
        said = (str(error).splitlines() or [""])[0][:300]
        for secret in filter(None, [urlsplit(settings.mlflow_uri).password]):
            said = said.replace(secret, "***")
        raise RegistryUnavailableError(
            f"the model registry could not be used: {said or type(error).__name__}"
        ) from error


def _flat(metrics: dict[str, Any]) -> dict[str, float]:
    """Metrics as a run records them: one number a name."""
    found = {}
    for name, value in metrics.items():
        nested = value.items() if isinstance(value, dict) else [("", value)]
        found.update({f"{name}_{k}".rstrip("_"): float(v) for k, v in nested if v is not None})
    return found


if __name__ == "__main__":
    main()
