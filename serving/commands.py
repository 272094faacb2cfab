"""Commands of those who score, serve and audit; and the synthetic organisation to try it on."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import IO, Any

import rich_click as click

from features.console import err, pairs, progress_bars, show, tell
from features.options import JSON, MOMENT, aware, now, store_of
from features.settings import Settings
from serving.audit_commands import audit
from serving.webhook_commands import webhooks


@click.command()
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

    store = store_of(settings)
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
    day = aware(until) or now().replace(hour=0, minute=0, second=0, microsecond=0)
    settings.home.mkdir(parents=True, exist_ok=True)
    with progress_bars() as progress:
        try:
            made = organisation(
                seed=seed, until=day, changes=changes, noise_only=noise_only, progress=progress
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        with store.write("demo", now=now()) as writer:
            stored = writer.add(made.records, lambda done: progress("store", done, None))
    store.set_setting("label", {"name": "incident"})
    (settings.home / "upcoming.jsonl").write_bytes(b"".join(neutral(c) for c in made.upcoming))
    store.set_setting("source", "demo")
    result = {"synthetic": True, "description": made.describe(), "stored": stored}
    show(result, as_json, [made.describe(), f"stored: {pairs(stored)}"])


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--explain",
    type=click.Choice(["full", "none"]),
    default="full",
    show_default=True,
    help="none: numbers alone, many times faster.",
)
@JSON
@click.pass_obj
def score(settings: Settings, file: IO[bytes], explain: str, as_json: bool) -> None:
    """Score changes from FILE (- for stdin): a JSON object, an array, or one object a line.

    Gives the same answers as the service and records them in the same journal. One object a line
    may be a file of any size: only a part of it is in memory at a time.
    """
    from serving.offline import answers
    from serving.plaintext import lines

    refused = 0
    with progress_bars() as progress:
        for answer, problem in answers(settings, file, progress, reasons=explain == "full"):
            if answer is None:
                refused += 1
                err.print_json(data=problem)
            elif as_json:
                click.echo(answer.model_dump_json())
            else:
                show({}, False, [*lines(answer), ""])
    if refused:
        raise SystemExit(2)


@click.command()
@click.option("--host", help="Address to listen on.  [default: CHANGERISK_HOST or 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(1, 65_535), help="Port.  [default: CHANGERISK_PORT or 3000]"
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="Processes that answer.  [default: CHANGERISK_WORKERS or one a core, at most four]",
)
@click.option("--example", is_flag=True, help="Print an example change with its curl command.")
@click.pass_obj
def serve(
    settings: Settings, host: str | None, port: int | None, workers: int | None, example: bool
) -> None:
    """Serve the score over HTTP until interrupted."""
    from serving.launch import launch

    asked = replace(
        settings,
        host=host or settings.host,
        port=port or settings.port,
        workers=workers or settings.workers,
    )
    sys.exit(launch(asked, example, tell))


@click.command()
def openapi() -> None:
    """Print the contract of the HTTP service, OpenAPI 3.1 as in docs/openapi.json."""
    from serving.openapi import text

    click.echo(text(), nl=False)


@click.group()
def keys() -> None:
    """API keys of the people and machines that call the service."""


DAYS = click.option(
    "--days", type=click.IntRange(min=1), help="Days until it expires.  [default: never]"
)


@keys.command("create")
@click.argument("name")
@click.option("--role", default="service", show_default=True, help="What the key may do.")
@DAYS
@click.option(
    "--scope", "scopes", multiple=True, help="Narrow it to this permission of its role (repeat)."
)
@click.option(
    "--also",
    multiple=True,
    help="What tickets call the same person, too: an e-mail, an id (repeat).",
)
@JSON
@click.pass_obj
def keys_create(
    settings: Settings,
    name: str,
    role: str,
    days: int | None,
    scopes: tuple[str, ...],
    also: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a key for NAME; it is shown once and only its digest is stored.

    For a person, NAME must be what tickets call them: nobody decides about a change of their own.
    """
    from serving.keys import create, id_of

    moment, store = now(), store_of(settings)
    try:
        key = create(
            store,
            name=name,
            role=role,
            now=moment,
            expires_at=None if days is None else moment + timedelta(days=days),
            scopes=scopes,
            also=also,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    made = {"name": name, "role": role, "key_id": id_of(store, key), "key": key}
    show(made, as_json, [key])


@keys.command("rotate")
@click.argument("key_id")
@click.option(
    "--overlap-days",
    type=click.IntRange(min=0),
    default=7,
    show_default=True,
    help="Days for which the old key still works.",
)
@DAYS
@JSON
@click.pass_obj
def keys_rotate(
    settings: Settings, key_id: str, overlap_days: int, days: int | None, as_json: bool
) -> None:
    """Make a new key in place of KEY_ID, which works for some days more."""
    from serving.keys import id_of, rotate

    moment, store = now(), store_of(settings)
    ends = None if days is None else moment + timedelta(days=days)
    overlap = timedelta(days=overlap_days)
    try:
        key = rotate(store, key_id, now=moment, overlap=overlap, expires_at=ends)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    made = {"replaces": key_id, "overlap_days": overlap_days, "key_id": id_of(store, key)}
    show({**made, "key": key}, as_json, [key])


@keys.command("list")
@JSON
@click.pass_obj
def keys_list(settings: Settings, as_json: bool) -> None:
    """List the keys, without the keys themselves."""
    rows = [
        {k: v for k, v in row.items() if k != "digest"} for row in store_of(settings).keys.all()
    ]
    from features import instants

    moment = instants.to_micros(now())
    lines = [
        f"{row['key_id']}  {row['role']}  {row['name']}  {_key_state(row, moment)}" for row in rows
    ]
    show({"keys": rows}, as_json, lines or ["no key yet: changerisk keys create NAME"])


def _key_state(row: Mapping[str, Any], moment: int) -> str:
    """Until when a key is good."""
    if row["revoked_at"] is not None:
        return "revoked"
    if row["expires_at"] is None:
        return "never expires"
    from features import instants

    ends = f"{instants.from_micros(row['expires_at']):%Y-%m-%d %H:%M} UTC"
    return f"expired {ends}" if row["expires_at"] <= moment else f"expires {ends}"


@keys.command("revoke")
@click.argument("key_id")
@JSON
@click.pass_obj
def keys_revoke(settings: Settings, key_id: str, as_json: bool) -> None:
    """Revoke the key KEY_ID (the first column of `changerisk keys list`) from now on."""
    if not store_of(settings).keys.revoke(key_id, now=now()):
        raise click.UsageError(f"there is no live key {key_id!r}; see changerisk keys list")
    show({"key_id": key_id, "revoked": True}, as_json, [f"{key_id} is revoked"])


@click.group()
def sync() -> None:
    """Read an ITSM from where the last run ended, and write scores back to it.

    Where it is and who asks comes from the environment only, and is never logged:

    \b
      CHANGERISK_SERVICENOW_URL, _USER, _PASSWORD     or _CLIENT_ID, _CLIENT_SECRET
      CHANGERISK_JIRA_URL, _USER, _TOKEN              without _USER a personal access token

    A certificate of your own authority is trusted through REQUESTS_CA_BUNDLE.
    """  # noqa: D301 - \b keeps the lines as they are


def _synchronising(system: str, spoken: str) -> click.Command:
    """The command for one ITSM."""

    @click.command(
        system,
        help=f"Read changes with their revisions, incidents, items and links from {spoken}.\n\n"
        "A run that breaks off is resumed by the next one. With --write-back the band, the "
        "probability and one note go to every change that was scored since, where the band or a "
        "top factor is news.",
    )
    @click.option("--since", type=MOMENT, help="Begin here instead of where the last run ended.")
    @click.option("--dry-run", is_flag=True, help="Store and write nothing; say what would be.")
    @click.option("--write-back", "writing", is_flag=True, help="Tell the ITSM what was scored.")
    @JSON
    @click.pass_obj
    def command(
        settings: Settings, since: datetime | None, dry_run: bool, writing: bool, as_json: bool
    ) -> None:
        from serving.synchronising import run

        with progress_bars() as progress:
            done = run(
                settings,
                system,
                os.environ,
                now=now,
                progress=progress,
                since=aware(since),
                dry_run=dry_run,
                writing=writing,
            )
        show(done.content(), as_json, done.lines())
        if done.written is not None and done.written.failed:
            raise SystemExit(1)

    return command


sync.add_command(_synchronising("servicenow", "ServiceNow"))
sync.add_command(_synchronising("jira", "Jira"))


@sync.command("example")
def sync_example() -> None:
    """Print the file of connections with its defaults and a comment on everything.

    Copy what you change into CHANGERISK_HOME/connections.toml.
    """
    from features.sources.connections import DEFAULTS

    click.echo(DEFAULTS.read_text(encoding="utf-8"), nl=False)


@sync.command("rejected")
@click.option("--replay", is_flag=True, help="Try each again; what is understood now goes.")
@JSON
@click.pass_obj
def sync_rejected(settings: Settings, replay: bool, as_json: bool) -> None:
    """List webhook bodies that were refused and kept, with the reason.

    With --replay each is tried again, as after a correction of the file of connections. Fields that
    name people were blanked when it was kept.
    """
    from serving.inbox import KEPT, replayed
    from serving.kept import Kept
    from serving.runtime import Runtime

    kept = Kept(settings.home / KEPT)
    found = []
    if replay:
        for body, outcome, understood in replayed(Runtime(settings), kept):
            entry = {"file": body.path.name, "outcome": outcome, "understood": understood}
            found.append(entry)
    else:
        found = [{"file": body.path.name, "outcome": body.problem} for body in kept.bodies()]
    lines = [f"{entry['file']}  {entry['outcome']}" for entry in found]
    show({"bodies": found}, as_json, lines or ["none is kept"])


@click.command()
@JSON
@click.pass_obj
def doctor(settings: Settings, as_json: bool) -> None:
    """Check environment, store, links, label, registry, model and journal, and say what to do.

    Exit code 1 where something stops scores from being given.
    """
    from serving.doctor import examine

    findings = examine(settings, now=now())
    marks = {"ok": "ok      ", "warning": "WARNING ", "failure": "FAILURE "}
    lines = []
    for found in findings:
        lines.append(f"{marks[found.outcome]} {found.check}: {found.text}")
        if found.todo:
            lines.append(f"          -> {found.todo}")
    healthy = all(found.outcome != "failure" for found in findings)
    show({"healthy": healthy, "findings": [vars(one) for one in findings]}, as_json, lines)
    if not healthy:
        raise SystemExit(1)


COMMANDS = (demo, score, serve, openapi, keys, audit, sync, webhooks, doctor)
