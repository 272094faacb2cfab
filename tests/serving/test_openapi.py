"""The contract on paper is the contract in force: committed, and held against whatever comes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.openapi import document, text

COMMITTED = Path(__file__).parent.parent.parent / "docs" / "openapi.json"

CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]

OPERATIONS = [each.ok() for each in schemathesis.openapi.from_dict(document()).get_all_operations()]


def test_the_contract_is_committed() -> None:
    assert COMMITTED.read_text() == text(), "changerisk openapi > docs/openapi.json, and read it"


def held(shared: Any, operation: Any, known: str, cases: int) -> int:
    """Put cases to a route, fitting and not, about changes known and unknown; count them."""
    asked = 0

    def strategy(mode: GenerationMode) -> Any:
        anywhere = operation.as_strategy(generation_mode=mode)
        if "{change_id}" not in operation.path:
            return anywhere
        here = operation.as_strategy(generation_mode=mode, path_parameters={"change_id": known})
        return anywhere | here

    @settings(
        max_examples=cases, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(case=st.one_of(strategy(GenerationMode.POSITIVE), strategy(GenerationMode.NEGATIVE)))
    def put(case: Any) -> None:
        nonlocal asked
        asked += 1
        sent = case.as_transport_kwargs(base_url="http://testserver")
        headers = {**sent.pop("headers"), "X-API-Key": shared.keys["admin"]}
        # As bytes: a client may send more than ASCII, and the service must bear it.
        headers = {n: v.encode() for n, v in headers.items() if n.lower() != "authorization"}
        sent.pop("cookies", None)
        if isinstance(content := sent.pop("data", None), (str, bytes)):
            sent["content"] = content
        response = shared.client.request(headers=headers, **sent)
        assert response.status_code < 500, (response.text, sent)
        case.validate_response(response, checks=CHECKS)

    put()
    return asked


@pytest.fixture(scope="module")
def known(shared: Any, ticket: Callable[..., Any]) -> str:
    """A change that was scored."""
    return str(shared.score(ticket())["change_id"])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.method} {o.path}")
def test_every_answer_is_documented(shared: Any, operation: Any, known: str) -> None:
    assert held(shared, operation, known, 12) > 0


@pytest.mark.slow
def test_every_answer_to_thousands_is_documented(shared: Any, known: str) -> None:
    cases = sum(held(shared, operation, known, 320) for operation in OPERATIONS)
    assert cases >= 5000


def test_fields_of_schemas_are_told_apart() -> None:
    names = document()["components"]["schemas"]
    assert all("__" not in name for name in names), "two models of one name"
    assert orjson.loads(text()) == document()
