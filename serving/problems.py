"""Errors as RFC 9457 problem details, with the paths of the fields they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from serving.moment import InputError

MEDIA_TYPE = "application/problem+json"

PROBLEMS: dict[str, tuple[int, str]] = {
    "broken-json": (400, "The body is not JSON"),
    "unauthorized": (401, "An API key is needed"),
    "forbidden": (403, "This key may not do that"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "This cannot be done here"),
    "too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body must be JSON"),
    "invalid": (422, "Some fields cannot be used"),
    "unavailable": (503, "The service cannot answer now"),
}
"""Status and title of every kind of problem this service answers with."""


def problem(
    kind: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem response.

    Parameters
    ----------
    kind : str
        One of ``PROBLEMS``; its URI is documented in docs/api.md.
    errors : sequence of mappings
        ``pointer`` (a JSON pointer into the body) and ``detail`` of every fault.
    """
    status, title = PROBLEMS[kind]
    body: dict[str, Any] = {
        "type": f"https://change-risk.invalid/problems/{kind}",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = list(errors)
    return Response(
        orjson.dumps(body), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


def of_validation(error: ValidationError) -> Response:
    """The problem of a body whose fields cannot be understood."""
    errors = [
        {
            "pointer": "".join(f"/{_escaped(part)}" for part in fault["loc"]),
            "detail": _expectation(fault),
        }
        for fault in error.errors(include_url=False, include_input=False)
    ]
    count = len(errors)
    return problem(
        "invalid",
        f"{count} field{'s' if count > 1 else ''} could not be understood",
        errors=errors,
    )


def of_input(error: InputError) -> Response:
    """The problem of a field that can be understood but not used."""
    fault = {"pointer": error.pointer, "detail": error.detail}
    return problem("invalid", "1 field could not be used", errors=[fault])


def _escaped(part: object) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")


def _expectation(fault: Mapping[str, Any]) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ")
    known = {
        "missing": "this field is needed",
        "string_type": "expected a text that is not empty",
        "string_too_short": "expected a text that is not empty",
        "model_type": "expected a JSON object",
        "dict_type": "expected a JSON object",
    }
    if fault["type"] in known:
        return known[fault["type"]]
    if fault["type"] in ("string_too_long", "too_long"):
        return f"expected at most {fault['ctx']['max_length']} characters"
    return message[:1].lower() + message[1:]


def of_status(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The problem of a bare status, such as a router's 404 or 405."""
    for kind, (code, _) in PROBLEMS.items():
        if code == status:
            words = HTTPStatus(status).description or HTTPStatus(status).phrase
            return problem(kind, words, headers=headers)
    return problem("unavailable", HTTPStatus(status).phrase, headers=headers)
