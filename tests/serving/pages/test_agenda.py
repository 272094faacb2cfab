"""The agenda: what is due, in order, summed up, filtered by its address."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import decisions
from serving.decisions import DecisionIn
from serving.keys import Caller
from serving.pages.agenda import LEAST_MINUTES, Filters, shares


class Scored:
    """As much of a row as sharing minutes needs."""

    def __init__(self, probability: float | None) -> None:
        self.entry = self
        self.probability = probability


@given(
    st.lists(st.none() | st.floats(0, 1), max_size=40),
    st.integers(1, 300),
)
def test_minutes_are_shared_out_in_full_and_more_where_more_is_expected(
    scores: list[float | None], minutes: int
) -> None:
    rows = [Scored(p) for p in scores]
    found = shares(rows, minutes)  # type: ignore[arg-type]
    assert len(found) == len(rows)
    assert all(part >= LEAST_MINUTES for part in found)
    if any(p for p in scores) and minutes >= LEAST_MINUTES * len(rows):
        assert sum(found) == minutes
    for first, a in zip(scores, found, strict=True):
        for second, b in zip(scores, found, strict=True):
            if (first or 0) > (second or 0):
                assert a >= b


@given(st.dictionaries(st.sampled_from(["days", "order", "band", "minutes"]), st.text()))
def test_any_address_is_an_agenda(query: dict[str, str]) -> None:
    filters = Filters.of(query, 60)
    assert filters.days in (7, 14, 28)
    assert 1 <= filters.minutes <= 9999


def figures(html: str) -> list[str]:
    return re.findall(r'class="figure">([^<]+)<', html)


def test_the_agenda_sums_up_the_week(approver: Any, scored: Any) -> None:
    html = approver.get("/").text
    said = approver.text("/")
    due = list(scored.journal())
    assert due
    assert re.search(r"\d+ changes are planned for the next 7 days", said)
    assert re.search(r"expect about \d+\.\d incidents", said)
    assert "CAB agenda, Tue 3 Jun 14:00" in said
    values = [float(f.replace("<1", "0.5")) for f in figures(html)]
    assert values == sorted(values, reverse=True)


def test_filters_are_in_the_address(approver: Any) -> None:
    everything = approver.get("/?days=28").text
    low = approver.get("/?days=28&band=low").text
    assert 0 < len(figures(low)) < len(figures(everything))
    assert 'class="band high"' not in low
    service = re.findall(r"<option>([^<]+)</option>", everything)[0]
    mine = approver.get("/?days=28", params={"days": "28", "service": service}).text
    assert 0 < len(figures(mine)) < len(figures(everything))
    assert f"<option selected>{service}</option>" in mine


def test_a_part_is_given_to_those_who_swap_it_in(approver: Any) -> None:
    part = approver.get("/?days=28", headers={"HX-Request": "true"})
    assert part.text.lstrip().startswith('<div id="agenda">')
    assert "HX-Request" in part.headers["vary"]
    back = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<html" in approver.get("/?days=28", headers=back).text


def test_everything_follows_the_filters(approver: Any) -> None:
    part = approver.get("/?days=28&minutes=90&band=high", headers={"HX-Request": "true"}).text
    assert "planned for the next 28 days" in part
    assert "/agenda.csv?days=28&amp;band=high&amp;minutes=90" in part
    assert "in 90 minutes" in part
    every = approver.get("/?days=28&minutes=90").text
    assert sum(map(int, re.findall(r">(\d+) min<", every))) == 90


def test_minutes_that_are_too_few_are_said(approver: Any) -> None:
    said = approver.text("/?days=28&minutes=1")
    found = re.search(
        r"Needs the board (\d+) At two minutes each the board needs (\d+); it has 1", said
    )
    assert found is not None
    assert int(found[2]) == LEAST_MINUTES * int(found[1]) > 1


def test_no_match_says_so_and_leads_back(approver: Any) -> None:
    said = approver.text("/?service=Nobody")
    assert "No change fits" in said
    assert "Show all" in said


def test_a_week_without_changes_says_so(
    serve: Callable[..., Any], home: Any, loaded: type, person: Callable[..., Any]
) -> None:
    said = person(serve(home, kind=loaded), "approver").text("/")
    assert "No change is planned for the next 7 days." in said
    assert "Nothing is planned" in said


def test_without_a_model_the_last_scores_stay(
    desk_of: Callable[..., Any], person: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = desk_of()
    scorer = service.runtime.scorer()
    monkeypatch.setattr(scorer, "registered", None)
    monkeypatch.setattr(scorer, "unavailable", "the registry has no champion; ask `changerisk`")
    html = person(service, "approver").get("/").text
    assert "No new scores for now." in html
    assert "The scores below were given before." in html
    assert "champion" not in html, "nothing the board can act on"
    assert figures(html)
    html = person(service, "admin").get("/").text
    assert "The registry has no champion; ask <code>changerisk</code>.</span>" in html


def test_more_than_a_page_is_paged(
    desk_of: Callable[..., Any], person: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    service = desk_of()
    for _ in range(60):
        service.score(ticket(planned_start="2025-06-03T10:00:00Z", planned_end=None))
    someone = person(service, "approver")
    first = someone.get("/").text
    after = re.search(r'href="(/\?after=[^"]+)">Next', first)
    assert after is not None
    assert first.count('class="what"') == 50
    second = someone.get(after[1]).text
    assert 10 <= second.count('class="what"') < 50
    ids = [re.findall(r"/changes/(\w+)\"><bdi>", page) for page in (first, second)]
    assert not set(ids[0]) & set(ids[1])


def test_what_is_decided_is_told_from_what_is_left(
    desk_of: Callable[..., Any], person: Callable[..., Any]
) -> None:
    service = desk_of()
    someone = person(service, "approver")
    page = someone.get("/?days=28").text
    board = page.partition('id="board"')[2].partition("</section>")[0]
    ids = re.findall(r"/changes/(\w+)\"><bdi>", board)
    by = Caller(key_id="k", name="Ines Ferreira", role="approver")
    asked = DecisionIn(decision="reject", reason="Not before the release.")
    assert ids
    for left, change_id in enumerate(ids):
        decisions.decide(service.store, change_id, asked, by, now=service.clock.now)
        said = someone.text("/?days=28")
        rest = len(ids) - left - 1
        words = f", {rest} to decide in 60 minutes" if rest else ", all decided"
        assert f"Needs the board {len(ids)}{words}" in said


def test_an_organisation_with_nothing_in_it_has_all_its_pages(
    serve: Callable[..., Any], modelless: Any, person: Callable[..., Any]
) -> None:
    service = serve(modelless)
    someone = person(service, "approver")
    feeds = [f"/schedule.{kind}" for kind in ("ics", "atom", "json")]
    pages = ["/", "/track-record", "/schedule", "/snapshots", "/try", "/try?ci=x", "/agenda.csv"]
    for path in [*pages, *feeds]:
        assert someone.get(path).status_code == 200, path
    assert "cannot be said without a model" in someone.get("/changes/none").text
    assert someone.post("/snapshots", {"days": "7"}).status_code == 303
    service.score({"change_id": "BARE"})
    said = someone.text("/changes/BARE")
    assert "Without a score the board decides." in said
    assert "No model was in use when its score was asked for." in said
    assert "What follows is the score" not in said
    assert "`" not in said
    said = someone.text("/")
    assert "It could not be scored." in said
    assert "scores below" not in said
    service.score({"change_id": "SECOND"})
    assert "None of them could be scored." in someone.text("/")
    place = someone.post("/snapshots", {"days": "7"}).headers["location"]
    assert "none of them scored" in someone.text(place)
    assert "none scored" in someone.text("/snapshots")
    for path in ("/", place, "/snapshots"):
        assert "expect" not in someone.text(path), path
