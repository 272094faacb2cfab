"""Frozen agendas: what a meeting had before it, compared with how it stands now."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from features.store import Store
from features.store.chain import JournalEntry
from serving.pages.agenda import DECIDED, Agenda, Filters, Row
from serving.pages.agenda_page import read_agenda
from serving.pages.desk import Desk
from serving.pages.site import caller_of
from serving.pages.words import figure, moment
from serving.spreadsheet import cell

KEPT = "agenda_snapshots"
"""Setting that names the snapshots, newest first."""

MOST = 100

COLUMNS = (
    "change_id", "title", "type", "service", "item", "planned_start", "planned_end",
    "probability", "band", "route", "decision", "minutes", "score_id", "revision", "scored_at",
)  # fmt: skip


def listed(desk: Desk, request: Request) -> Response:
    """``GET /snapshots``: the frozen agendas."""
    with desk.store() as store:
        found = [entry for key in _kept(store) if (entry := store.journal_entry(key)) is not None]
    return desk.site.render(request, "snapshots.html", snapshots=found)


async def freeze(desk: Desk, request: Request) -> Response:
    """``POST /snapshots``: keep the agenda as it stands."""
    async with request.form(max_files=0, max_fields=10) as form:
        asked = {name: str(form.get(name, "")) for name in ("days", "minutes")}

    def keep() -> str:
        filters = Filters.of(asked, desk.site.runtime.board.minutes)
        agenda = read_agenda(desk, filters)
        who, snapshot_id = caller_of(request), str(uuid.uuid4())
        registered = desk.registered
        body = {
            "agenda": {
                "days": filters.days,
                "minutes": filters.minutes,
                "model_version": None if registered is None else registered.version,
                "expected": agenda.summary.expected,
                "items": [_item(row) for row in agenda.rows],
            },
            "by": {} if who is None else who.signed(),
        }
        with desk.store() as store:
            with store.write("agenda", now=desk.now) as writer:
                writer.append_journal(snapshot_id, "agenda", None, body)
            store.set_setting(KEPT, [snapshot_id, *_kept(store)][:MOST])
        return snapshot_id

    return RedirectResponse(f"/snapshots/{await run_in_threadpool(keep)}", 303)


def snapshot(desk: Desk, request: Request) -> Response:
    """``GET /snapshots/{snapshot_id}``: then and now."""
    entry = _entry(desk, request)
    frozen = entry.body["agenda"]
    live = read_agenda(desk, Filters(days=frozen["days"]))
    now = {row.change_id: row for row in live.rows}
    bands = desk.bands
    lines = [_line(item, now.get(item["change_id"]), bands) for item in frozen["items"]]
    known = {item["change_id"] for item in frozen["items"]}
    return desk.site.render(
        request,
        "snapshot.html",
        entry=entry,
        frozen=frozen,
        lines=lines,
        fresh=[row for row in live.rows if row.change_id not in known],
        changed=sum(line["changed"] for line in lines),
        noun=desk.noun(),
    )


def _line(item: Mapping[str, Any], row: Row | None, bands: Any) -> dict[str, Any]:
    """One change then and now."""
    then = item["probability"]
    now = None if row is None else row.probability
    shown = None if then is None else figure(then, item["band"], bands)
    moved = None if then is None or now is None else now - then
    return {
        "item": item,
        "start": moment(item["planned_start"]),
        "end": moment(item["planned_end"]),
        "figure": shown,
        "row": row,
        "moved": moved,
        "decision": None if item["decision"] is None else DECIDED[item["decision"]],
        "changed": row is None
        or row.entry.score_id != item["score_id"]
        or row.entry.decision != item["decision"],
    }


def live_csv(desk: Desk, request: Request) -> Response:
    """``GET /agenda.csv``: the agenda as it stands, with the filters of its address."""
    filters = Filters.of(request.query_params, desk.site.runtime.board.minutes)
    agenda: Agenda = read_agenda(desk, filters)
    return _csv((_item(row) for row in agenda.shown(filters)), "agenda.csv")


def frozen_csv(desk: Desk, request: Request) -> Response:
    """``GET /snapshots/{snapshot_id}/agenda.csv``: the agenda as it stood."""
    return _csv(_entry(desk, request).body["agenda"]["items"], "agenda.csv")


def _item(row: Row) -> dict[str, Any]:
    entry = row.entry
    start, end = entry.planned_start, entry.planned_end
    return {
        "change_id": entry.change_id,
        "title": entry.title,
        "type": entry.change_type,
        "service": entry.service,
        "item": entry.ci,
        "planned_start": None if start is None else start.isoformat(),
        "planned_end": None if end is None else end.isoformat(),
        "probability": entry.incident_probability,
        "band": entry.risk_band,
        "route": entry.route,
        "decision": entry.decision,
        "minutes": row.minutes,
        "score_id": entry.score_id,
        "revision": entry.revision,
        "scored_at": entry.scored_at.isoformat(),
    }


def _csv(items: Iterable[Mapping[str, Any]], name: str) -> Response:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for item in items:
        writer.writerow([cell(item.get(column)) for column in COLUMNS])
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return Response(file.getvalue(), headers=headers, media_type="text/csv")


def _kept(store: Store) -> Sequence[str]:
    return list(store.setting(KEPT) or [])


def _entry(desk: Desk, request: Request) -> JournalEntry:
    with desk.store() as store:
        entry = store.journal_entry(request.path_params["snapshot_id"])
    if entry is None or entry.kind != "agenda":
        raise HTTPException(404)
    return entry
