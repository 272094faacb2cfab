"""Webhooks out, to a real server: signed, at least once, given up and retried."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from features import instants
from features.store import Store
from features.store.outbox import DEAD, DELIVERED, WAITING
from serving.courier import BATCH, Courier, Couriers, backoff
from serving.events import SOURCE
from serving.sending import send
from tests.serving.sync.telling import (
    NOW,
    OTHER,
    SECRET,
    Clock,
    Receiver,
    drained,
    endpoint,
    score,
    statuses,
)

# what is told ------------------------------------------------------------------------------------


def test_scores_decisions_and_promotions_are_told(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    score(store, "C0", "low")
    one = courier()
    score(store, "C1", "low")
    score(store, "C1", "low", 1)
    score(store, "C1", "high", 2)
    with store.write("decision", now=NOW) as writer:
        made = {"decision_id": "d1", "decision": "approve", "decided_by": "Ada", "reason": "why"}
        writer.append_journal("d1", "decision", "C1", {"decision": made, "by": {}})
        writer.append_journal("f1", "feedback", "C1", {"feedback": {}})
        moved = {"version": "2", "before": "1", "by": "Bo", "reason": "better", "comparison": {}}
        writer.append_journal("p1", "promotion", None, moved)
    drained(one)
    events = receiver.events()
    assert [event["type"].split(".", 1)[1] for event in events] == [
        "change.scored.v1",
        "change.scored.v1",
        "change.scored.v1",
        "change.band_changed.v1",
        "decision.recorded.v1",
        "model.promoted.v1",
    ], "nothing of what was there before the endpoint was"
    changed = events[3]["data"]
    assert (changed["previous_band"], changed["risk_band"]) == ("low", "high")
    assert [event["data"]["first_score"] for event in events[:3]] == [True, False, False]
    assert events[4]["data"]["decided_by"] == "Ada"
    assert events[5]["data"] == {"version": "2", "before": "1", "by": "Bo", "reason": "better"}
    assert b"private text" not in b"".join(body for _, body in receiver.got)
    assert statuses(store) == {WAITING: 0, DELIVERED: 6, DEAD: 0}


def test_a_revision_that_came_after_a_later_one_moves_no_band(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    one = courier()
    score(store, "C1", "high")
    late = {"code": "superseded", "field": "revision", "text": "Revision 2 stands"}
    score(store, "C1", "low", 1, warnings=[late])
    score(store, "C1", "high", 2)
    drained(one)
    events = receiver.events()
    assert [event["type"] for event in events] == ["changerisk.change.scored.v1"] * 3
    assert [event["data"]["previous_band"] for event in events] == [None, "high", "high"]


def test_events_are_cloudevents(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    one = courier(events=frozenset({"change.scored"}))
    score(store, "C1", "low")
    drained(one)
    ((headers, body),) = receiver.got
    event = json.loads(body)
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert event["specversion"] == "1.0"
    assert event["id"] == headers["webhook-id"]
    assert (event["source"], event["subject"]) == (SOURCE, "C1")
    assert event["datacontenttype"] == "application/json"
    assert datetime.fromisoformat(event["time"]) == NOW
    assert all(name.isalnum() and name == name.lower() for name in event), "attribute names"
    assert set(event) - {"data"} <= {
        "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "sequence",
    }  # fmt: skip


def test_bands_narrow_what_is_told_of_changes(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    one = courier(bands=frozenset({"high"}))
    for number, band in enumerate(["low", "high", "low", "moderate"]):
        score(store, "C1", band, number)
    drained(one)
    told = [(e["type"].split(".")[2], e["data"]["risk_band"]) for e in receiver.events()]
    assert told == [
        ("scored", "high"), ("band_changed", "high"), ("scored", "low"), ("band_changed", "low"),
    ]  # fmt: skip


# signatures --------------------------------------------------------------------------------------


def test_signatures_hold_by_the_specification(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    """Computed here from the text of the specification, without the library that signs."""
    one = courier(secrets=(SECRET, OTHER))
    score(store, "C1", "low")
    drained(one)
    headers, body = receiver.got[0]
    signed = headers["webhook-signature"].split(" ")
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = [
        "v1," + base64.b64encode(hmac.new(key * 32, text, hashlib.sha256).digest()).decode()
        for key in (b"k", b"o")
    ]
    assert signed == expected, "one for each secret while they change"
    assert int(headers["webhook-timestamp"]) == int(NOW.timestamp())


def test_openssl_agrees(
    store: Store, receiver: Receiver, courier: Callable[..., Courier], tmp_path: Path
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    one = courier()
    score(store, "C1", "low")
    drained(one)
    headers, body = receiver.got[0]
    signed = tmp_path / "signed"
    signed.write_bytes(f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body)
    key = (b"k" * 32).hex()
    command = [openssl, "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"]
    found = subprocess.run([*command, signed], capture_output=True, check=True).stdout
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(found).decode()}"


def test_the_library_of_a_receiver_verifies(receiver: Receiver) -> None:
    now = datetime.now(UTC)
    assert send(endpoint(receiver), "id-1", '{"a":1}', now=now).taken
    headers, body = receiver.got[0]
    assert Webhook(SECRET).verify(body, headers) == {"a": 1}
    for wrong in (OTHER, SECRET.replace("a", "b")):
        with pytest.raises(Exception, match="signature"):
            Webhook(wrong).verify(body, headers)


# at least once -----------------------------------------------------------------------------------


def test_what_fails_is_tried_again_with_the_same_id_and_body(
    store: Store, receiver: Receiver, courier: Callable[..., Courier], clock: Clock
) -> None:
    one = courier(draw=lambda: 1.0, events=frozenset({"change.scored"}))
    score(store, "C1", "low")
    receiver.answers = [500, (503, {"Retry-After": "60"})]
    drained(one)
    assert len(receiver.got) == 1
    clock.now += timedelta(seconds=4.9)
    drained(one)
    assert len(receiver.got) == 1, "not before its time"
    clock.now += timedelta(seconds=0.2)
    drained(one)
    assert len(receiver.got) == 2
    clock.now += timedelta(seconds=59)
    drained(one)
    assert len(receiver.got) == 2, "as long as the endpoint asks"
    clock.now += timedelta(seconds=2)
    drained(one)
    assert len(set(receiver.ids())) == 1
    assert len({body for _, body in receiver.got}) == 1
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in receiver.got]
    assert stamps == sorted(set(stamps)), "signed anew each time"
    assert statuses(store)[DELIVERED] == 1


def test_what_fails_for_good_is_given_up_kept_and_retried(
    store: Store, receiver: Receiver, courier: Callable[..., Courier], clock: Clock
) -> None:
    one = courier(events=frozenset({"change.scored"}))
    score(store, "C1", "low")
    score(store, "C2", "low")
    receiver.answers = [500, 410, 500, 500]
    for _ in range(5):
        drained(one)
        clock.now += timedelta(hours=7)
    assert len(receiver.got) == 4, "three attempts at one, one at the other: 410 is final"
    with store.outbox() as outbox:
        dead = outbox.dead()
        assert [row["outcome"] for row in dead] == ["HTTP 500", "HTTP 410: the endpoint is gone"]
        assert [row["attempts"] for row in dead] == [3, 1]
    with store.outbox(writing=True) as outbox:
        assert outbox.retry(now=instants.to_micros(clock.now), event_id=dead[0]["event_id"]) == 1
        assert outbox.retry(now=instants.to_micros(clock.now), event_id="other") == 0
    drained(one)
    assert receiver.ids()[-1] == dead[0]["event_id"] == receiver.ids()[0]
    assert statuses(store) == {WAITING: 0, DELIVERED: 1, DEAD: 1}


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from features.store import Store
from serving.courier import Courier
from tests.serving.sync import telling as t
store = Store({url!r})
one = t.endpoint(events=frozenset({{"change.scored"}}), url={hook!r})
courier = Courier(one, lambda: store, lambda: t.NOW)
courier._settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
courier.round()
"""


def test_killed_between_sending_and_marking(
    store: Store, receiver: Receiver, courier: Callable[..., Courier], clock: Clock
) -> None:
    one = courier(events=frozenset({"change.scored"}))
    for number in range(3):
        score(store, f"C{number}", "low")
    url = store.engine.url.render_as_string()
    script = KILLED.format(url=url, hook=one.endpoint.url)
    ended = subprocess.run([sys.executable, "-c", script], check=False, cwd=Path.cwd())
    assert ended.returncode == -signal.SIGKILL
    assert len(receiver.got) == 1
    drained(one)
    assert len(receiver.got) == 1, "claimed by the one that died"
    clock.now += timedelta(minutes=5)
    drained(one)
    assert len(receiver.got) == 4
    assert receiver.ids()[0] == receiver.ids()[1], "sent again under the same id"
    assert len(set(receiver.ids())) == 3, "and nothing is lost"
    assert statuses(store) == {WAITING: 0, DELIVERED: 3, DEAD: 0}


def test_many_workers_send_each_once(store: Store, receiver: Receiver, clock: Clock) -> None:
    url = store.engine.url.render_as_string()
    stores = [Store(url) for _ in range(4)]
    one = endpoint(receiver, events=frozenset({"change.scored"}))
    couriers = [Courier(one, lambda own=own: own, clock) for own in stores]  # type: ignore[misc]
    couriers[0].gather(stores[0])
    for number in range(25):
        score(store, f"C{number}", "low")
    threads = [threading.Thread(target=drained, args=(courier,)) for courier in couriers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(event["subject"] for event in receiver.events()) == sorted(
        f"C{number}" for number in range(25)
    )
    assert len(set(receiver.ids())) == 25 > BATCH
    for own in stores:
        own.close()


def test_an_entry_that_is_undone_is_not_told(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    one = courier()

    def broken() -> None:
        with store.write("score", now=NOW) as writer:
            writer.append_journal("x", "score", "C1", {"answer": {"risk_band": "low"}})
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        broken()
    drained(one)
    assert receiver.got == []


def test_a_store_that_is_away_loses_nothing(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    one = courier(events=frozenset({"change.scored"}))
    score(store, "C1", "low")
    away = Courier(one.endpoint, lambda: None, Clock())
    assert away.round() is False
    drained(one)
    assert len(receiver.got) == 1


def test_couriers_work_in_the_background_and_end(
    store: Store, receiver: Receiver, eventually: Callable[..., Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr("serving.courier.POLL_SECONDS", 0.02)
    one = Courier(endpoint(receiver, events=frozenset({"change.scored"})), lambda: store, Clock())
    one.gather(store)
    couriers = Couriers([one])
    couriers.start()
    score(store, "C1", "low")
    eventually(lambda: receiver.got)
    couriers.stop()
    score(store, "C2", "low")
    assert all(not thread.is_alive() for thread in couriers._threads)
    assert len(receiver.got) == 1


def test_backing_off_grows_and_varies() -> None:
    waits = [backoff(n, 0.5) for n in range(1, 12)]
    assert waits == sorted(waits)
    assert {backoff(3, draw / 10) for draw in range(11)} == {40 + 4.0 * n for n in range(11)}
