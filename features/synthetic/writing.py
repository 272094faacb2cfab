"""From arrays to records: the facts as the organisation's systems would give them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from features import instants
from features.instants import MISSING
from features.progress import Progress
from features.records import Change, ChangeEvent, Incident, Item, Link, Relation
from features.synthetic import wording
from features.synthetic.arrays import Ints
from features.synthetic.estate import CLASSES, Estate
from features.synthetic.forms import LEVELS, PRIORITIES, RISKS, UNKNOWN, Forms
from features.synthetic.incidents import Tickets
from features.synthetic.links import Statements
from features.synthetic.outcomes import CODES, Endings
from features.synthetic.plans import BOILERPLATE, COPIED, EMPTY, NO_TICKET, Plans
from features.synthetic.templates import TEMPLATES

_TYPES = ("standard", "normal", "emergency")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVERY = 2_000


@dataclass(frozen=True)
class Numbers:
    """What changes and incidents are called, by row."""

    changes: Sequence[str]
    incidents: Sequence[str]

    @classmethod
    def of(cls, plans: Plans, found: Tickets) -> Numbers:
        """Numbers in the order in which tickets were opened."""
        return cls(_numbers("CHG", 30_001, plans.submitted), _numbers("INC", 100_001, found.known))


def _numbers(prefix: str, first: int, moments: Ints) -> list[str]:
    rank = np.empty(len(moments), np.int64)
    rank[np.argsort(moments, kind="stable")] = np.arange(len(moments))
    return [f"{prefix}{first + place:07d}" for place in rank.tolist()]


def moment(micros: int) -> datetime:
    """A moment that is not missing."""
    return _EPOCH + timedelta(microseconds=micros)


def items(estate: Estate, until: int) -> Iterator[Item]:
    """Items in use by ``until``, each described when it came into use."""
    for code, born in enumerate(estate.born.tolist()):
        if born < until:
            service = int(estate.item_service[code])
            yield Item(
                ci=estate.items[code],
                known_at=moment(born),
                ci_class=CLASSES[estate.item_class[code]],
                service=estate.services[service],
                criticality=int(estate.criticality[service]),
            )


def relations(estate: Estate, until: int) -> Iterator[Relation]:
    """Dependencies known by ``until``; the end of one is a second fact."""
    pairs = zip(estate.parent, estate.child, estate.since, estate.ended, strict=True)
    for parent, child, since, ended in ((int(p), int(c), int(s), int(e)) for p, c, s, e in pairs):
        if since >= until:
            continue
        known = Relation(
            parent=estate.items[parent],
            child=estate.items[child],
            kind="depends_on",
            occurred_at=moment(since),
            known_at=moment(since),
        )
        yield known
        if ended != MISSING and ended < until:
            yield replace(known, known_at=moment(ended), ended_at=moment(ended))


def changes(
    estate: Estate, plans: Plans, form: Forms, numbers: Numbers, progress: Progress
) -> Iterator[list[Change]]:
    """The revisions of every change."""
    for row in range(len(plans)):
        if row % _EVERY == 0:
            progress("write changes", row, len(plans))
        put_off = timedelta(microseconds=int(plans.put_off[row]))
        start, end = moment(int(plans.start[row])), moment(int(plans.end[row]))
        submitted = moment(int(plans.submitted[row]))
        affected = tuple(estate.items[item] for item in plans.affected[row].tolist() if item >= 0)
        service = estate.services[estate.item_service[plans.affected[row, 0]]]
        first = Change(
            change_id=numbers.changes[row],
            known_at=submitted,
            change_type=_TYPES[plans.kind[row]],
            ci=affected[0],
            affected_cis=affected,
            service=service,
            impacted_services=_impacted(estate, service, form.chance[row, 7]),
            references=_references(plans, row, numbers),
            assignment_group=estate.teams[plans.team[row]],
            submitted_at=submitted,
            planned_start=start - put_off,
            planned_end=end - put_off,
            attributes=_attributes(plans, row, int(form.filled[row, 7])),
            **_texts(plans, form, row, affected[0], service),  # type: ignore[arg-type]
        )
        revisions = [first]
        if put_off:
            known = moment(int(plans.moved_at[row]))
            revisions.append(
                replace(first, revision="2", known_at=known, planned_start=start, planned_end=end)
            )
        yield revisions
    progress("write changes", len(plans), len(plans))


def _texts(
    plans: Plans, form: Forms, row: int, ci: str, service: str
) -> dict[str, str | bool | None]:
    template = TEMPLATES[plans.model[row]]
    chance, filled = form.chance[row].tolist(), form.filled[row].tolist()
    what = wording.title(template, ci, service, chance[0])
    steps = wording.implementation(template, chance[3])
    texts = {
        "category": template.category if filled[0] >= 2 else None,
        "change_model": template.name if filled[1] >= 3 else None,
        "short_description": what,
        "description": _entered(filled[2], wording.description(what, service, chance[1])),
        "justification": _entered(filled[3], wording.justification(chance[2])),
        "implementation_plan": _entered(filled[4], steps, chance[3]),
        "backout_plan": _backout(int(plans.backout[row]), steps, chance[4]),
        "test_plan": _entered(filled[5] // 2, wording.check_plan(chance[5]), chance[5]),
        "declared_risk": _word(RISKS, form.declared[row]),
        "impact": _word(LEVELS, form.impact[row]),
        "urgency": _word(LEVELS, form.urgency[row]),
        "priority": _word(PRIORITIES, form.priority[row]),
        "requested_by": f"u{form.requester[row]:04d}",
        "implementer": f"u{form.implementer[row]:04d}" if filled[6] >= 15 else None,
    }
    board = form.board[row]
    return {**texts, "cab_required": None if board == UNKNOWN else bool(board)}


def _entered(filled: int, text: str, chance: int | None = None) -> str | None:
    """A text, or nothing, or (where a chance is given) a phrase that says nothing."""
    if filled < 6:
        return None
    return wording.nothing(chance) if chance is not None and filled < 12 else text


def _backout(kind: int, steps: str, chance: int) -> str | None:
    if kind == EMPTY:
        return None
    if kind == BOILERPLATE:
        return wording.nothing(chance)
    return steps if kind == COPIED else wording.backout(chance)


def _word(words: Sequence[str], code: int) -> str | None:
    return None if code == UNKNOWN else words[code]


def _impacted(estate: Estate, service: str, chance: int) -> tuple[str, ...]:
    """Mostly none; else one to three others."""
    if chance % 10 < 7:
        return ()
    chosen = [estate.services[(chance // 10 + 5 * n) % len(estate.services)] for n in range(3)]
    others = [name for name in chosen if name != service]
    return tuple(others[: 1 + chance % 3])


def _references(plans: Plans, row: int, numbers: Numbers) -> tuple[str, ...]:
    found = []
    if plans.ticket[row] != NO_TICKET:
        found.append(f"DEMO-{1000 + plans.ticket[row]}")
    if plans.repairs[row] >= 0:
        found.append(numbers.incidents[plans.repairs[row]])
    return tuple(found)


def _attributes(plans: Plans, row: int, filled: int) -> dict[str, float]:
    if filled >= 12:
        return {}
    return {"planned_downtime_hours": float(plans.end[row] - plans.start[row]) / instants.HOUR / 4}


def events(ended: Endings, lag: Ints, numbers: Numbers, until: int) -> Iterator[ChangeEvent]:
    """What was known by ``until`` of how the changes went, each fact recorded ``lag`` later."""
    for row, later in enumerate(lag.tolist()):
        name, backed_out = numbers.changes[row], int(ended.backed_out[row])
        told = (
            ("started", int(ended.started[row]), None),
            ("backed_out", backed_out, None),
            ("closed", int(ended.closed[row]), CODES[ended.code[row]]),
        )
        for kind, occurred, code in told:
            if occurred != MISSING and occurred + later <= until:
                yield ChangeEvent(
                    change_id=name,
                    kind=kind,
                    occurred_at=moment(occurred),
                    known_at=moment(occurred + later),
                    code=code,
                    planned=kind == "backed_out" and bool(ended.by_plan[row]),
                )


def incidents(
    estate: Estate,
    found: Tickets,
    mentions: dict[int, list[tuple[int, str]]],
    numbers: Numbers,
    until: int,
    progress: Progress,
) -> Iterator[Incident]:
    """The rows of every incident: opened, then resolved and mentioned, in order.

    Parameters
    ----------
    mentions : mapping of int to list of (int, str)
        For some incidents: sentences that people add, and when.
    """
    for row in range(len(found)):
        if row % _EVERY == 0:
            progress("write incidents", row, len(found))
        if found.known[row] > until:
            continue
        opened = _opened(estate, found, row, numbers)
        yield opened
        resolved = int(found.resolved[row])
        added = [(known, text) for known, text in mentions.get(row, []) if known <= until]
        moments = {known for known, _ in added} | ({resolved} if resolved <= until else set())
        for known in sorted(moments):
            said = [text for when, text in added if when <= known]
            yield replace(
                opened,
                known_at=moment(known),
                resolved_at=moment(resolved) if resolved <= known else None,
                description=" ".join([str(opened.description), *said]),
            )
    progress("write incidents", len(found), len(found))


def _opened(estate: Estate, found: Tickets, row: int, numbers: Numbers) -> Incident:
    item, phrase = int(found.item[row]), int(found.phrase[row])
    ci, ci_class = estate.items[item], CLASSES[estate.item_class[item]]
    service = estate.services[estate.item_service[item]]
    symptom = wording.symptom(ci_class, phrase)
    nameless = bool(found.nameless[row])
    return Incident(
        incident_id=numbers.incidents[row],
        occurred_at=moment(int(found.occurred[row])),
        known_at=moment(int(found.known[row])),
        priority=int(found.priority[row]),
        ci=None if nameless else ci,
        service=service,
        assignment_group=estate.teams[estate.home_team[item]],
        category=ci_class.replace("_", " "),
        short_description=f"{service}: {symptom}" if nameless else f"{ci}: {symptom}",
        description=f"Reported for service {service}: {symptom}.",
    )


def links(
    stated: Statements, kind: str, found: Tickets, numbers: Numbers, until: int
) -> Iterator[Link]:
    """Explicit links known by ``until``."""
    for row in range(len(stated)):
        ticket, known = int(stated.ticket[row]), int(stated.known[row])
        if known <= until:
            yield Link(
                incident_id=numbers.incidents[ticket],
                change_id=numbers.changes[int(stated.change[row])],
                kind=kind,
                source="explicit",
                confidence=1.0,
                occurred_at=moment(int(found.occurred[ticket])),
                known_at=moment(known),
            )
