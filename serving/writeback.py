"""Telling the ITSM: own fields and one note on a change, only when there is news.

What was written is in the journal, an entry ``write_back`` a change and time, so that nothing is
written twice and everybody can see what people were told. What could not be written is kept and
tried again by the next run. The vendor's own risk field stays as it is unless a column is set.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

from features.errors import ChangeRiskError
from features.progress import Progress, silent
from features.sources.connections import Connection
from features.sources.patience import VendorError
from features.store import Store
from serving.contract import Answer
from serving.late import SUPERSEDED

KIND = "write_back"
TOP = 3
"""Factors a note gives; others among them are news."""

GIVE_UP = 3
"""Failures in a row after which the rest waits for the next run."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What an answer says to the people of the ITSM.

    Parameters
    ----------
    fields : mapping of str to str
        Values of own fields by their meaning: ``probability``, ``band`` and so on.
    note : str
        The note: the figures, the top factors in words, the model.
    """

    change_id: str
    score_id: str
    band: str
    factors: tuple[str, ...]
    fields: Mapping[str, str]
    note: str

    def is_news_after(self, told: Mapping[str, Any] | None) -> bool:
        """Whether the band or a top factor is another than what was written before."""
        return told is None or (told["band"], told["factors"]) != (self.band, list(self.factors))


class Desk(Protocol):
    """An ITSM that can be written to."""

    def ids(self, change_ids: list[str]) -> Mapping[str, str]:
        """Its own ids of those changes that are its."""
        ...

    def write(self, ref_id: str, statement: Statement) -> None:
        """Write a statement to a change."""
        ...


@dataclass
class WriteBackReport:
    """What was written, or would be, and what could not be."""

    written: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0
    dry_run: bool = False

    def lines(self) -> list[str]:
        """The report for people, a line each."""
        word = "would write" if self.dry_run else "wrote"
        found = [f"{word} {len(self.written)}, no news for {self.unchanged}"]
        for entry in self.written if self.dry_run else []:
            found += [f"{entry['change_id']}: {entry['fields']}", *entry["note"].splitlines()]
        return found + [f"failed, kept for the next run: {k}: {v}" for k, v in self.failed.items()]


def statement(answer: Answer, public_url: str | None) -> Statement:
    """What an answer with a score says."""
    probability = answer.incident_probability or 0.0
    band = (answer.risk_band or "").replace("_", " ")
    top = answer.factors[:TOP]
    url = (
        ""
        if not public_url
        else f"{public_url.rstrip('/')}/changes/{quote(answer.change_id, safe='')}"
    )
    model = "" if answer.model is None else f"{answer.model.name}/{answer.model.version}"
    lines = [
        f"{answer.summary} Band {band}.",
        *(f"{'Raises' if f.direction == 'raises' else 'Lowers'}: {f.text}." for f in top),
        f"Model {model}, scored {answer.scored_at:%Y-%m-%d %H:%M} UTC. It advises; people decide.",
    ]
    if answer.status == "degraded":
        lines.insert(1, "Part of what it usually rests on was missing.")
    return Statement(
        change_id=answer.change_id,
        score_id=answer.score_id,
        band=answer.risk_band or "",
        factors=tuple(factor.group for factor in top),
        fields={
            "probability": f"{probability:.4f}",
            "band": answer.risk_band or "",
            "times_usual": f"{answer.times_base_rate or 0.0:.1f}",
            "model": model,
            "scored_at": f"{answer.scored_at:%Y-%m-%d %H:%M:%S}",
            "review_url": url,
        },
        note="\n".join([*lines, *([url] if url else [])]),
    )


def write_back(
    store: Store,
    system: str,
    desk: Desk,
    *,
    now: Callable[[], datetime],
    public_url: str | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> WriteBackReport:
    """Write the latest score of every change that is news to its ITSM.

    Raises
    ------
    StoreUnavailableError
        If the store cannot be used.
    """
    setting = f"write-back/{system}"
    kept = store.setting(setting) or {"seq": 0, "pending": {}}
    latest, seq = _latest(store, kept)
    ids = desk.ids(list(latest))
    report, pending, in_a_row = WriteBackReport(dry_run=dry_run), {}, 0
    for number, (change_id, answer) in enumerate(latest.items()):
        progress(f"write to {system}", number, len(latest))
        said = statement(answer, public_url)
        if change_id not in ids:
            continue
        if not said.is_news_after(_told(store, system, change_id)):
            report.unchanged += 1
            continue
        if in_a_row >= GIVE_UP and not dry_run:
            pending[change_id] = answer.score_id
            continue
        try:
            if not dry_run:
                desk.write(ids[change_id], said)
                _remember(store, system, said, now())
            report.written.append(asdict(said))
            in_a_row = 0
        except VendorError as error:
            in_a_row += 1
            pending[change_id] = answer.score_id
            report.failed[change_id] = str(error)
    if not dry_run:
        store.set_setting(setting, {"seq": seq, "pending": pending})
    return report


def _latest(store: Store, kept: Mapping[str, Any]) -> tuple[dict[str, Answer], int]:
    """The latest score of every change scored since the last run, or left over from it."""
    found: dict[str, Answer] = {}
    for score_id in kept["pending"].values():
        entry = store.journal_entry(score_id)
        if entry is not None and entry.change_id is not None:
            found[entry.change_id] = Answer.model_validate(entry.body["answer"])
    seq = int(kept["seq"])
    for entry in store.journal_entries(after=seq):
        seq = entry.seq
        if entry.kind == "score" and entry.change_id is not None:
            answer = Answer.model_validate(entry.body["answer"])
            if _worth_telling(answer):
                found[entry.change_id] = answer
    return found, seq


def _worth_telling(answer: Answer) -> bool:
    """A number, of the latest revision and of a change that is still to come."""
    begun = any(warning.code == "retrospective" for warning in answer.warnings)
    late = any(warning.code == SUPERSEDED for warning in answer.warnings)
    return answer.incident_probability is not None and not begun and not late


def _told(store: Store, system: str, change_id: str) -> Mapping[str, Any] | None:
    """What was last written to a change."""
    told = None
    for entry in store.journal_entries(change_id=change_id):
        if entry.kind == KIND and entry.body["system"] == system:
            told = entry.body
    return told


def _remember(store: Store, system: str, said: Statement, now: datetime) -> None:
    body = {**asdict(said), "system": system, "factors": list(said.factors)}
    with store.write(f"{KIND} {system}", now=now) as writer:
        writer.append_journal(str(uuid.uuid4()), KIND, said.change_id, body)


# desks -------------------------------------------------------------------------------------------


@dataclass
class ServiceNowDesk:
    """Own columns and a work note of a change request, in one request."""

    store: Store
    instance: Any
    connection: Connection

    def ids(self, change_ids: list[str]) -> Mapping[str, str]:
        """``sys_id`` by number."""
        with self.store.references() as references:
            return references.ids("servicenow", "change_request", change_ids)

    def write(self, ref_id: str, statement: Statement) -> None:
        """Set the columns that are configured; the note goes with them.

        Raises
        ------
        ChangeRiskError
            If the system did not take it.
        """
        wanted = self.connection.table("write_back")
        values = {
            str(wanted[name]): value
            for name, value in statement.fields.items()
            if wanted.get(name) and value
        }
        if wanted["risk"]:
            values[str(wanted["risk"])] = str(wanted["risk_values"].get(statement.band, ""))
        note = {str(wanted["note"]): statement.note} if wanted["note"] else {}
        if not values:
            raise ChangeRiskError("connections.toml: [servicenow.write_back] names no own column")
        table = self.connection.table("tables")["change"]
        self.instance.update(table, ref_id, values, note)


@dataclass
class JiraDesk:
    """An entity property, custom fields where they are set, and an internal comment."""

    store: Store
    site: Any
    connection: Connection

    def ids(self, change_ids: list[str]) -> Mapping[str, str]:
        """The keys themselves, of those issues that were seen."""
        with self.store.references() as references:
            return {key: key for key in references.ids("jira", "issue", change_ids)}

    def write(self, ref_id: str, statement: Statement) -> None:
        """Write the property before the comment and after it: a comment is never written twice."""
        wanted = self.connection.table("write_back")
        name = str(wanted["property"])
        before = self.site.property_of(ref_id, name) if name else {}
        if before.get("score_id") == statement.score_id and before.get("told"):
            return
        fields = dict(self._fields(wanted, statement))
        if fields:
            self.site.set_fields(ref_id, fields)
        kept = {**statement.fields, "score_id": statement.score_id, "text": statement.note}
        if name:
            self.site.set_property(ref_id, name, {**kept, "told": False})
        if wanted["comment"]:
            self.site.comment(ref_id, statement.note)
        if name:
            self.site.set_property(ref_id, name, {**kept, "told": True})

    def _fields(
        self, wanted: Mapping[str, Any], statement: Statement
    ) -> Iterator[tuple[str, object]]:
        with self.store.references() as references:
            ids = {n.casefold(): i for i, n in references.of_kind("jira", "field").items()}
        values: dict[str, object] = {
            "probability": float(statement.fields["probability"]),
            "band": {"value": wanted["band_values"].get(statement.band, statement.band)},
            "review_url": statement.fields["review_url"],
        }
        for meaning, value in values.items():
            field_name = str(wanted.get(meaning) or "")
            if field_name and value:
                yield ids.get(field_name.casefold(), field_name), value
