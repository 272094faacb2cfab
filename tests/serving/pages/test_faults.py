"""What nobody foresaw and what cannot be reached: said on a page, never by a bare error."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from features.store import StoreError, StoreUnavailableError
from serving.pages import agenda_page, site
from serving.pages.site import page_of
from serving.problems import MEDIA_TYPE

PART = {"HX-Request": "true"}


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agenda has a fault."""

    def fail(*_: object) -> None:
        raise RuntimeError("a detail that is nobody's business")

    monkeypatch.setattr(agenda_page, "read_agenda", fail)


@pytest.mark.usefixtures("broken")
def test_a_fault_is_a_page_and_the_log_has_it(
    approver: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever configured logging before in this process may have silenced or cut off the logger.
    log = logging.getLogger("serving.pages.faults")
    monkeypatch.setattr(log, "disabled", False)
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    with caplog.at_level(logging.ERROR, log.name):
        answer = approver.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "nobody's business" not in answer.text
    assert "nobody's business" in caplog.text
    assert answer.headers["traceparent"].split("-")[1] in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.usefixtures("broken")
def test_a_fault_in_a_part_is_said_above_the_page_that_asked(approver: Any) -> None:
    answer = approver.get("/", headers=PART)
    assert answer.status_code == 500
    assert answer.headers["hx-retarget"] == "#alert"
    assert "<html" not in answer.text
    assert "Something went wrong here" in answer.text


@pytest.mark.usefixtures("broken")
def test_a_program_gets_a_problem(approver: Any) -> None:
    answer = approver.get("/", headers={"Accept": "text/calendar"})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["retry-after"] == "5"


@pytest.mark.usefixtures("broken")
def test_even_faulty_templates_leave_an_answer(
    approver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "environment", lambda: None)
    answer = approver.get("/")
    assert answer.status_code == 500
    assert answer.text.startswith("Something went wrong here.")


PLACES = ["/", "/changes/CHG1", "/track-record", "/schedule", "/schedule.ics", "/snapshots"]


@pytest.mark.parametrize("when", ["at the door", "behind it"])
def test_a_store_out_of_reach_is_said_on_every_page(
    desk_of: Callable[..., Any],
    person: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    service = desk_of()
    someone = person(service, "approver")
    names = ["journal_entries", "journal_entry", "review", "setting"]

    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailableError("no route to the database")

    for name in names:
        monkeypatch.setattr(service.store, name, fail)
    if when == "at the door":
        monkeypatch.setattr(service.store.keys, "find", fail)
    for place in PLACES:
        answer = someone.get(place)
        assert answer.status_code == 503, place
        assert "The records cannot be read" in answer.text
        assert "no route" not in answer.text
        assert answer.headers["retry-after"] == "5"
    part = someone.get("/", headers=PART)
    assert (part.status_code, part.headers["hx-retarget"]) == (503, "#alert")
    for form in ("/decisions", "/views", "/snapshots", "/feeds"):
        data = {"change_id": "CHG1", "decision": "approve", "expected": "low"}
        if (when, form) != ("behind it", "/feeds"):
            assert someone.post(form, data).status_code == 503, form


def test_without_a_store_the_pages_say_so_and_have_their_looks(
    approver: Any, scored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scored.runtime, "scorer", lambda: None)
    monkeypatch.setattr(scored.runtime, "ready", lambda: (False, "the store is not open"))
    answer = approver.get("/")
    assert answer.status_code == 503
    static = answer.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert approver.get(static).status_code == 200
    scored.client.cookies.clear()
    assert scored.client.get(static).status_code == 200
    signing = approver.post("/sign-in", {"key": "crk_x"})
    assert signing.status_code == 503
    assert "The records cannot be read" in signing.text


def test_a_trial_without_a_store_says_so(
    approver: Any, scored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreError("gone")

    monkeypatch.setattr(type(scored.runtime.scorer()), "consider", fail)
    assert approver.post("/try", {"ci": "x"}).status_code == 503


def test_what_is_missing_is_said_above_the_form_that_asked(approver: Any) -> None:
    answer = approver.post("/decisions", {"change_id": "none", "decision": "approve"}, headers=PART)
    assert (answer.status_code, answer.headers["hx-retarget"]) == (404, "#alert")
    assert page_of("none") not in answer.text
    assert "No such change here" in answer.text


def test_a_form_that_cannot_be_read_says_so(approver: Any) -> None:
    answer = approver.post("/decisions", files={"reason": ("a.txt", b"x")})
    assert answer.status_code == 400
    assert "This form could not be read" in answer.text
    said = approver.get("/decisions")
    assert said.status_code == 405
    assert "There is no such page" in said.text
