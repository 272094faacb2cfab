"""What the store keeps: facts with two clocks, the journal, settings and keys."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.columns import RECORD_TYPES
from features.records import (
    CalendarEntry,
    Change,
    ChangeEvent,
    Incident,
    Item,
    Link,
    Record,
    Relation,
)
from features.store import Store, StoreError
from features.store.chain import GENESIS, chain_hash
from features.store.rows import to_row
from features.store.schema import batch
from features.store.writing import CHUNK
from tests.features.store.given import LATER, NOW, add, change, held

# facts and their two clocks ----------------------------------------------------------------------

FULL: list[Record] = [
    Change(
        **{
            **{f.name: f"text of {f.name}" for f in fields(Change)},
            "known_at": LATER,
            "affected_cis": ("a", "b;c", "ü", ""),
            "impacted_services": ("mail",),
            "references": ("T1", "T2"),
            "cab_required": False,
            "submitted_at": NOW,
            "planned_start": LATER,
            "planned_end": LATER + timedelta(microseconds=1),
            "attributes": {"lines_added": 12.0, "review_hours": 0.1, "ü": -1e300},
        }
    ),
    Incident(
        incident_id="I1",
        occurred_at=NOW,
        known_at=LATER,
        resolved_at=LATER,
        priority=2,
        ci="a",
        service="mail",
        assignment_group="team",
        category="network",
        short_description='says "no"',
        description="two\nlines\tand 'quotes' \\ %s :name ; 🚨",
    ),
    Link(
        incident_id="I1",
        change_id="C1",
        kind="caused_by",
        source="text",
        confidence=0.1,
        occurred_at=NOW,
        known_at=LATER,
    ),
    ChangeEvent(
        change_id="C1",
        kind="backed_out",
        occurred_at=NOW,
        known_at=LATER,
        code="failed",
        planned=True,
    ),
    Item(ci="a", known_at=NOW, ci_class="server", service="mail", criticality=1),
    Relation(
        parent="a", child="b", kind="runs_on", occurred_at=NOW, known_at=LATER, ended_at=LATER
    ),
    CalendarEntry(
        entry_id="F1", kind="freeze", scope="*", starts_at=NOW, ends_at=LATER, known_at=NOW
    ),
]
BARE: list[Record] = [
    Change(change_id="C1", known_at=NOW),
    Incident(incident_id="I1", occurred_at=NOW, known_at=LATER),
    FULL[2],
    ChangeEvent(change_id="C1", kind="closed", occurred_at=NOW, known_at=LATER),
    Item(ci="a", known_at=NOW),
    Relation(parent="a", child="b", kind="runs_on", occurred_at=NOW, known_at=LATER),
    FULL[6],
]


@pytest.mark.parametrize("records", [FULL, BARE], ids=["every field", "only what is required"])
def test_every_record_comes_back_as_it_was(store: Store, records: list[Record]) -> None:
    assert {type(record) for record in records} == set(RECORD_TYPES)
    add(store, *records)
    for record in records:
        (found,) = held(store, type(record))
        assert found == record
        assert repr(found).replace("1.0", "1") == repr(record).replace("1.0", "1")


@pytest.mark.parametrize("records", [FULL, BARE], ids=["every field", "only what is required"])
def test_what_was_written_need_not_be_read_back(store: Store, records: list[Record]) -> None:
    add(store, records[0])
    before = store.watermark()
    with store.write("test", now=LATER) as writer:
        writer.add(records)
        writer.add([change(7, short_description="with\0out"), records[1]])
    own, read = writer.history(), store.load(after=before)
    assert own.watermark == read.watermark == store.watermark()
    for kind in RECORD_TYPES:
        assert len(own[kind]) == len(read[kind]) > 0 or kind is RECORD_TYPES[0]
        for name, values in read[kind].data.items():
            assert own[kind][name].dtype == values.dtype
            np.testing.assert_array_equal(own[kind][name], values)


def test_a_time_is_the_same_moment_whatever_its_zone(store: Store) -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    add(store, replace(change(1), submitted_at=NOW.astimezone(zone)))
    (found,) = held(store, Change)
    assert isinstance(found, Change)
    assert found.submitted_at == NOW
    assert found.submitted_at.tzinfo is UTC  # type: ignore[union-attr]
    assert add(store, change(1, submitted_at=NOW))["change_revision"] == 0, "the same fact"


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="expected a moment with a time zone"):
        add(store, Item(ci="a", known_at=naive))
    assert store.watermark() == 0


_moments = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
_texts = st.none() | st.text(st.characters(codec="utf-8"), min_size=1)


@given(
    known_at=_moments,
    start=st.none() | _moments,
    text=_texts,
    names=st.lists(st.text(st.characters(codec="utf-8"))).map(tuple),
    numbers=st.dictionaries(
        st.text(st.characters(codec="utf-8")), st.floats(allow_nan=False, allow_infinity=False)
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_value_comes_back(
    store: Store,
    known_at: datetime,
    start: datetime | None,
    text: str | None,
    names: tuple[str, ...],
    numbers: dict[str, float],
) -> None:
    given_change = Change(
        change_id=uuid.uuid4().hex,
        known_at=known_at,
        planned_start=start,
        description=text,
        affected_cis=names,
        attributes=numbers,
    )
    before = store.watermark()
    add(store, given_change)
    # PostgreSQL has no NUL in a text, so no store keeps it.
    expected = replace(given_change, description=text.replace("\0", "") if text else text)
    assert store.load(after=before)[Change].record(0) == expected


# writes and the watermark ------------------------------------------------------------------------


def test_load_gives_the_writes_asked_for(store: Store) -> None:
    assert (store.watermark(), len(store.load())) == (0, 0)
    add(store, change(1), change(2))
    add(store, change(3), Item(ci="a", known_at=NOW))
    add(store, change(4))
    assert store.watermark() == 3

    def ids(**between: int) -> list[str]:
        return list(store.load(**between)[Change]["change_id"])

    assert ids() == ["C1", "C2", "C3", "C4"]
    assert ids(after=1) == ["C3", "C4"]
    assert ids(until=2) == ["C1", "C2", "C3"]
    assert ids(after=1, until=2) == ["C3"]
    assert ids(after=3) == []
    assert (store.load(until=2).watermark, store.load(until=99).watermark) == (2, 3)
    together = store.load(until=1).plus(store.load(after=1))
    assert list(together[Change]["change_id"]) == ids()
    assert together.watermark == 3
    assert list(store.load()[Change]["batch"]) == [1, 1, 2, 3]


def test_a_fact_is_stored_once(store: Store) -> None:
    assert add(store, change(1), change(1))["change_revision"] == 1
    assert sum(add(store, change(1)).values()) == 0
    assert store.watermark() == 1, "a write that brings nothing is none"
    later = replace(change(1), known_at=LATER)
    assert add(store, later)["change_revision"] == 0, "the same revision read again"
    assert held(store, Change) == [change(1)]
    assert add(store, replace(later, ci="db"))["change_revision"] == 1
    incident = Incident(incident_id="I", occurred_at=NOW, known_at=NOW)
    assert add(store, incident, replace(incident, known_at=LATER))["incident"] == 2
    assert store.counts()["change_revision"] == 2


def test_more_than_a_chunk(store: Store) -> None:
    many = [change(1, description=str(number)) for number in range(CHUNK + 7)]
    told: list[int] = []
    with store.write("test", now=NOW) as writer:
        writer.add(many, told.append)
    assert told == [CHUNK, CHUNK + 7]
    assert add(store, *many, change(2))["change_revision"] == 1
    assert store.counts()["change_revision"] == CHUNK + 8


def test_the_revision_that_stands(store: Store) -> None:
    assert store.standing(["C1"]) == {}
    add(store, change(1, revision="a"), change(2))
    last = replace(change(1, revision="b"), known_at=LATER + timedelta(days=9))
    add(store, last)
    add(store, replace(change(1, revision="c"), known_at=NOW))
    found = store.standing(["C1", "C2", "C3"])
    assert list(found) == ["C1", "C2"]
    assert found["C1"] == ("b", to_row(last)["identity"], 3), "known latest, not written latest"


def test_a_block_that_raises_writes_nothing(store: Store, url: str) -> None:
    def broken() -> None:
        with store.write("test", now=NOW) as writer:
            writer.add([change(1)])
            writer.append_journal("e1", "score", None, {})
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert (store.watermark(), len(store.load())) == (0, 0)
    assert list(store.journal_entries()) == []
    add(store, change(1))
    again = Store(url)
    assert again.watermark() == 1
    again.close()


def test_the_record_of_writes(store: Store) -> None:
    add(store, change(1))
    with store.engine.connect() as connection:
        rows = connection.execute(sa.select(batch)).all()
    assert [tuple(row) for row in rows] == [(1, "test", int(NOW.timestamp()) * 10**6 + 123_456)]


# journal, settings, keys -------------------------------------------------------------------------


def test_the_journal_is_a_chain(store: Store) -> None:
    bodies: list[dict[str, Any]] = [{"b": 1, "a": [1.5, None]}, {"text": "ü\0\n"}, {}]
    for number, body in enumerate(bodies):
        with store.write("score", now=NOW + timedelta(seconds=number)) as writer:
            change_id = None if number == 2 else f"C{number}"
            digest = writer.append_journal(f"e{number}", "score", change_id, body).hash
    entries = list(store.journal_entries())
    assert [entry.body for entry in entries] == bodies
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert entries[0].previous_hash == GENESIS
    assert entries[2].hash == digest
    assert entries[1].written_at == NOW + timedelta(seconds=1)
    previous = GENESIS
    for entry, text in zip(
        entries, ['{"a":[1.5,null],"b":1}', '{"text":"ü\\u0000\\n"}', "{}"], strict=True
    ):
        micros = int(entry.written_at.timestamp()) * 10**6 + 123_456
        assert entry.previous_hash == previous
        previous = chain_hash(
            previous, entry.seq, entry.entry_id, entry.kind, entry.change_id, micros, text
        )
        assert entry.hash == previous
    assert store.journal_entry("e1") == entries[1]
    assert store.journal_entry("nothing") is None
    assert list(store.journal_entries(change_id="C1")) == [entries[1]]


def test_the_chain_hash_covers_every_part() -> None:
    parts: list[Any] = [GENESIS, 1, "e", "score", "C1", 5, "{}"]
    text = json.dumps(parts, separators=(",", ":"))
    assert chain_hash(*parts) == hashlib.sha256(text.encode()).hexdigest()
    changed = ["f" * 64, 2, "f", "verdict", None, 6, "[]"]
    hashes = {
        chain_hash(*parts[:place], other, *parts[place + 1 :])
        for place, other in enumerate(changed)
    }
    assert len(hashes | {chain_hash(*parts)}) == len(parts) + 1


def test_a_journal_entry_is_written_once(store: Store) -> None:
    with store.write("score", now=NOW) as writer:
        writer.append_journal("e1", "score", None, {})
    with pytest.raises(StoreError), store.write("score", now=NOW) as writer:
        writer.append_journal("e1", "score", None, {})
    assert len(list(store.journal_entries())) == 1


def test_settings(store: Store) -> None:
    assert store.setting("label") is None
    for value in ({"name": "incident", "window_days": 7.5}, None, [], "text", 0, False):
        store.set_setting("label", value)
        assert store.setting("label") == value
    store.set_setting("other", 1)
    assert (store.setting("label"), store.setting("other")) == (False, 1)


def test_keys(store: Store) -> None:
    assert store.keys.all() == []
    for number, name in enumerate(("old", "new")):
        store.keys.add(
            key_id=name, name=name, role="score", digest=name * 9, created_at=number, expires_at=9
        )
    assert [key["key_id"] for key in store.keys.all()] == ["new", "old"]
    assert store.keys.all()[0]["revoked_at"] is None
    assert store.keys.revoke("old", now=NOW) is True
    assert store.keys.revoke("old", now=LATER) is False, "it keeps the first time"
    assert store.keys.revoke("none", now=NOW) is False
    (old,) = (key for key in store.keys.all() if key["key_id"] == "old")
    assert old["revoked_at"] == int(NOW.timestamp()) * 10**6 + 123_456
    with pytest.raises(StoreError):
        store.keys.add(key_id="x", name="x", role="score", digest="old" * 9, created_at=1)


def test_a_request_is_begun_once_and_answered_twice(store: Store) -> None:
    now = 10**15
    with store.requests() as requests:
        assert requests.begin("me", "key", "digest", now=now) is None
    with store.requests() as requests:
        begun = requests.begin("me", "key", "digest", now=now)
        assert begun is not None
        assert begun["status"] is None, "under way"
        assert requests.begin("you", "key", "digest", now=now) is None
        requests.finish("me", "key", status=200, headers="{}", body=b"answer")
    with store.requests() as requests:
        answered = requests.begin("me", "key", "digest", now=now)
        assert answered is not None
        assert (answered["status"], answered["body"]) == (200, b"answer")
        requests.forget("me", "key")
        assert requests.begin("me", "key", "digest", now=now) is None
