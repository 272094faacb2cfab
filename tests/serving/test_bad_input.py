"""Whatever comes in: a documented status, a problem that helps, and nothing stored."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from serving.bodies import json_of
from serving.contract import Answer, ChangeIn
from serving.feedback import FeedbackIn
from serving.problems import MEDIA_TYPE, of_validation
from serving.values import MOST_NAMES
from tests.serving.refusals import check_problem

# not JSON ----------------------------------------------------------------------------------------

BROKEN = {
    "empty": b"",
    "blank": b"  \n ",
    "cut off": b'{"change_id": "C1", "ci": ',
    "a word": b"change",
    "NaN": b'{"change_id": "C1", "attributes": {"lines_added": NaN}}',
    "Infinity": b'{"change_id": "C1", "attributes": {"lines_added": -Infinity}}',
    "too large a number": b'{"change_id": "C1", "attributes": {"lines_added": 1e400}}',
    "a number of 5,000 digits": b'{"change_id": ' + b"9" * 5000 + b"}",
    "single quotes": b"{'change_id': 'C1'}",
    "a comma too many": b'{"change_id": "C1",}',
    "two objects": b'{"change_id": "C1"} {"change_id": "C2"}',
    "not UTF-8": b'{"change_id": "C\xff1"}',
    "UTF-16": '{"change_id": "C1"}'.encode("utf-16"),
    "two byte order marks": b'\xef\xbb\xbf\xef\xbb\xbf{"change_id": "C1"}',
    "a raw control character": b'{"change_id": "C\x001"}',
    "very deep": b'{"change_id": "C1", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "form data": b"change_id=C1",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.usefixtures("untouched")
def test_what_is_not_json_is_refused(shared: Any, name: str) -> None:
    body = check_problem(shared.send(BROKEN[name]), "broken-json")
    assert "character" in body["detail"], "says where"


TWICE = {
    "a field": b'{"change_id": "C1", "ci": "a", "ci": "b"}',
    "with space": b'{"change_id": "C1", "ci" : "a", "ci"\n:"b"}',
    "the same value": b'{"change_id": "C1", "change_id": "C1"}',
    "within": b'{"change_id": "C1", "attributes": {"x": 1, "x": 1}}',
    "in a list": b'{"change_id": "C1", "x": [1, {"a": 1, "a": 2}]}',
    "escaped": b'{"change_id": "C1", "c\\u0069": "a", "ci": "b"}',
    "beside a text that looks like a name": b'{"change_id": "C1", "ci": "\\"a\\": ", "ci": "b"}',
}


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.usefixtures("untouched")
def test_a_name_that_comes_twice_is_refused(shared: Any, name: str) -> None:
    body = check_problem(shared.send(TWICE[name]), "broken-json")
    assert "comes twice in one object" in body["detail"]


def test_texts_may_hold_what_looks_like_a_name() -> None:
    texts = ['"ci": "ci":', '\\"', '{"a":1,"a":2}', '"\n:']
    value = [{"change_id": text, "x": {text: texts}} for text in texts]
    assert json_of(json.dumps(value).encode()) == value


@given(
    st.recursive(
        st.text('a":\\ '), lambda inner: st.lists(inner) | st.dictionaries(st.text('a":'), inner)
    )
)
@settings(max_examples=200, deadline=None)
def test_no_name_is_refused_that_comes_once(value: Any) -> None:
    assert json_of(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "content", [b"null", b"[]", b'[{"change_id": "C1"}]', b"1", b'"C1"', b"true"]
)
@pytest.mark.usefixtures("untouched")
def test_what_is_no_object_is_refused(shared: Any, content: bytes) -> None:
    body = check_problem(shared.send(content), "invalid", "")
    assert body["errors"][0]["detail"] == "expected a JSON object"


def test_a_byte_order_mark_is_no_matter(shared: Any) -> None:
    response = shared.send(b'\xef\xbb\xbf{"change_id": "C1"}')
    assert (response.status_code, response.json()["change_id"]) == (200, "C1")


@pytest.mark.parametrize("value", [True, False, [], {}])
@pytest.mark.usefixtures("untouched")
def test_what_is_no_number_of_a_change_is_refused(shared: Any, value: object) -> None:
    response = shared.ask("POST", "/v1/score", json={"change_id": value})
    check_problem(response, "invalid", "/change_id")


# fields ------------------------------------------------------------------------------------------

TIMES: dict[str, object] = {
    "naive": "2026-11-24T22:00:00",
    "a date": "2026-11-24",
    "no such day": "2026-02-30T00:00:00Z",
    "no such hour": "2026-11-24T25:00:00Z",
    "the year 1": "0001-01-01T00:00:00Z",
    "the year 1 and an offset": "0001-01-01T00:00:00+23:59",
    "the year 9999": "9999-12-31T23:59:59Z",
    "the year 9999 and an offset": "9999-12-31T23:59:59-23:59",
    "before 1970": "1969-12-31T23:59:59.999999Z",
    "from 2200 on": "2200-01-01T00:00:00Z",
    "a number": 1_700_000_000,
    "words": "next Tuesday",
    "other digits": "２０２６-11-24T22:00:00Z",
    "a list": ["2026-11-24T22:00:00Z"],
    "an object": {"date": "2026-11-24"},
    "true": True,
    "very long": "2026-11-24T22:00:00Z" * 1000,
    "ends in NUL": "2026-11-24T22:00:00Z\0",
    "NUL and more": "2026-11-24T22:00:00Z\0 or so",
    "NUL within": "2026-11-24\x0022:00:00Z",
    "a letter for the T": "2026-11-24é22:00:00Z",
    "a leap second": "2016-12-31T23:59:60Z",
}


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("field", ["submitted_at", "planned_start", "planned_end", "as_of"])
@pytest.mark.usefixtures("untouched")
def test_times_that_are_none_are_refused(shared: Any, field: str, name: str) -> None:
    response = shared.ask("POST", "/v1/score", json={"change_id": "C1", field: TIMES[name]})
    body = check_problem(response, "invalid", f"/{field}")
    assert body["errors"][0]["detail"].startswith("expected a time")
    assert len(response.content) < 1000, "what was sent is not sent back"


@pytest.mark.usefixtures("untouched")
def test_the_future_is_not_scored(shared: Any) -> None:
    response = shared.ask(
        "POST", "/v1/score", json={"change_id": "C1", "as_of": "2199-01-01T00:00Z"}
    )
    check_problem(response, "invalid", "/as_of")


WRONG: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ("/change_id",)),
    ({"change_id": None}, ("/change_id",)),
    ({"change_id": ""}, ("/change_id",)),
    ({"change_id": "  \n"}, ("/change_id",)),
    ({"change_id": ["C1"]}, ("/change_id",)),
    ({"change_id": {}}, ("/change_id",)),
    ({"change_id": "C" * 300}, ("/change_id",)),
    ({"change_id": "C1", "revision": "r" * 101}, ("/revision",)),
    ({"change_id": "C1", "revision": []}, ("/revision",)),
    ({"change_id": "C1", "ci": {"value": "web-01"}}, ("/ci",)),
    ({"change_id": "C1", "description": ["a", "b"]}, ("/description",)),
    ({"change_id": "C1", "affected_cis": {"a": 1}}, ("/affected_cis",)),
    ({"change_id": "C1", "affected_cis": ["a", ["b"]]}, ("/affected_cis",)),
    ({"change_id": "C1", "affected_cis": ["x"] * (MOST_NAMES + 1)}, ("/affected_cis",)),
    ({"change_id": "C1", "cab_required": "perhaps"}, ("/cab_required",)),
    ({"change_id": "C1", "cab_required": 2}, ("/cab_required",)),
    ({"change_id": "C1", "cab_required": []}, ("/cab_required",)),
    ({"change_id": "C1", "attributes": []}, ("/attributes",)),
    ({"change_id": "C1", "attributes": "many"}, ("/attributes",)),
    ({"change_id": "C1", "attributes": {"lines_added": "3"}}, ("/attributes",)),
    ({"change_id": "C1", "attributes": {"lines_added": True}}, ("/attributes",)),
    ({"change_id": "C1", "attributes": {"lines_added": 1e16}}, ("/attributes",)),
    ({"change_id": "C1", "attributes": {str(n): n for n in range(201)}}, ("/attributes",)),
    ({"change_id": [], "ci": {}, "as_of": "soon"}, ("/change_id", "/ci", "/as_of")),
]


@pytest.mark.parametrize(("body", "pointers"), WRONG, ids=range(len(WRONG)))
@pytest.mark.usefixtures("untouched")
def test_fields_that_cannot_be_understood_are_named(
    shared: Any, body: dict[str, Any], pointers: tuple[str, ...]
) -> None:
    response = shared.ask("POST", "/v1/score", json=body)
    found = check_problem(response, "invalid", *pointers)
    for fault in found["errors"]:
        assert fault["detail"].startswith(("expected", "this field is needed"))


def test_too_many_of_a_list_are_entries_and_too_long_a_text_characters() -> None:
    factors = [{"group": "x", "verdict": "not_useful"}] * 51
    with pytest.raises(ValidationError) as raised:
        FeedbackIn.model_validate({"factors": factors, "comment": "x" * 2001})
    faults = json.loads(bytes(of_validation(raised.value).body))["errors"]
    assert faults == [
        {"pointer": "/factors", "detail": "expected at most 50 entries"},
        {"pointer": "/comment", "detail": "expected at most 2000 characters"},
    ]


ODD: list[dict[str, Any]] = [
    {"change_id": 4711},
    {"change_id": "C\u202e\U0001f4a9' OR 1=1; --"},
    {"change_id": "../../etc/passwd"},
    {"change_id": "ODD1", "description": "\u0000\uffff" * 100, "ci": "\u0000"},
    {"change_id": "ODD2", "short_description": 12.5, "cab_required": "No", "ci": True},
    {"change_id": "ODD3", "affected_cis": "one", "references": [None, "", 3], "service": " "},
    {"change_id": "ODD4", "planned_start": "2026-11-24 22:00:00+0100", "planned_end": ""},
    {"change_id": "ODD5", "attributes": {"lines_added": None, "files_changed": -3, "": 1}},
    {"change_id": "ODD6", "x" * 5000: 1, "__proto__": {}, "\u0000": None},
    {"change_id": "ODD7", "close_code": "failed", "state": "closed", "outcome": "caused"},
    {"change_id": "ODD8", "description": "word " * 40_000},
    {"change_id": "ODD9", "affected_cis": [f"ci-{n}" for n in range(9000)]},
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_odd_tickets_are_answered(shared: Any, body: dict[str, Any]) -> None:
    answer = shared.score(body)
    assert answer["status"] in ("scored", "degraded")
    assert shared.ask("GET", f"/v1/scores/{answer['score_id']}").json() == answer


@pytest.mark.parametrize("depth", [200, 252, 253, 254, 255, 500, 1000])
def test_deep_unknown_fields_do_not_matter(shared: Any, depth: int) -> None:
    content = b'{"change_id": "DEEP", "x": ' + b"[" * depth + b"]" * depth + b"}"
    assert shared.send(content).status_code == 200


# BentoML's own routes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        *BROKEN.values(),
        b"null",
        b"[]",
        b"{}",
        b'{"change_id": []}',
        b'{"change_id": "C1", "as_of": "2199-01-01T00:00:00Z"}',
        b'{"change_id": "C1", "attributes": {"lines_added": ' + b"9" * 400 + b"}}",
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.usefixtures("untouched")
def test_the_native_routes_refuse_as_well(shared: Any, content: bytes, wrapped: bool) -> None:
    if wrapped:
        response = shared.send(b'{"changes": [' + content + b"]}", "/score_bulk")
        if response.status_code == 200:  # blank between the brackets is a list of none
            assert response.json() == []
            return
    else:
        response = shared.send(content, "/score")
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_the_native_routes_take_json_only(shared: Any) -> None:
    for path in ("/score", "/score_bulk"):
        for kind in ("multipart/form-data", "text/plain", "application/vnd.bentoml+pickle"):
            response = shared.send(b"--x\r\n", path, headers={"Content-Type": kind})
            check_problem(response, "unsupported-media-type")


def test_the_native_route_takes_numbers_no_journal_could_hold(shared: Any) -> None:
    response = shared.send(b'{"change_id": "BIG", "x": ' + b"9" * 40 + b"}", "/score")
    assert response.status_code == 200


def test_refused_texts_stay_out_of_the_log(shared: Any, caplog: pytest.LogCaptureFixture) -> None:
    shared.ask("POST", "/score", json={"change_id": "C1", "planned_start": "ask Ada Lovelace"})
    shared.ask("POST", "/v1/score", json={"change_id": "C1", "planned_start": "ask Ada Lovelace"})
    assert "Lovelace" not in caplog.text


# anything ----------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=30),
    st.sampled_from(["2026-11-24T22:00:00Z", "2025-05-01T00:00:00+02:00", "normal", "3 - Low"]),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from([*ChangeIn.model_fields]) | st.text(string.printable, max_size=12)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.dictionaries(FIELDS, ANYTHING, max_size=4), complete=st.booleans())
def test_any_json_gets_an_answer_or_a_reason(
    shared: Any, ticket: Callable[..., Any], body: dict[str, Any], complete: bool
) -> None:
    body = {**(ticket() if complete else {"change_id": "ANY"}), **body}
    response = shared.send(json.dumps(body).encode())
    if response.status_code == 200:
        Answer.model_validate_json(response.content)
        assert response.json()["status"] in ("scored", "degraded")
        event("answered")
    else:
        assert response.status_code in (400, 422)
        assert response.headers["content-type"] == MEDIA_TYPE
        event("refused")
