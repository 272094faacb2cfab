"""Bodies before anything is done with them: JSON, and changes that can be understood."""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from datetime import datetime

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import Headers
from starlette.responses import Response

from serving.contract import ChangeIn
from serving.moment import InputError, moment_of
from serving.problems import of_input, of_validation, problem

MOST_AT_ONCE = 200
"""Changes ``/score_bulk`` takes in one call."""

NATIVE = frozenset({"/score", "/score_bulk"})
"""Routes that BentoML itself reads the bodies of."""

_BULK: TypeAdapter[dict[str, list[ChangeIn]]] = TypeAdapter(dict[str, list[ChangeIn]])


_NAME_ENDS = re.compile(rb'"[ \t\r\n]*:')
"""Matches once for every name of every object, and for what looks like one in a text."""


_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape within a text; as a group, half of a pair without the other."""


class RepeatedNameError(ValueError):
    """An object of a JSON text names something twice."""


def json_of(content: bytes, *, mend: bool = True) -> object:
    """The value of a JSON text.

    Half of a pair of surrogates stands for no character; where ``mend``, it is read as U+FFFD.

    A name that comes twice in one object is refused: readers differ in which value they take (RFC
    8259, section 4; forbidden by RFC 7493, I-JSON), so the ticket's author and the score could mean
    different changes.

    Raises
    ------
    ValueError
        If it is no JSON text.
    RepeatedNameError
        If an object has a name twice.
    """
    try:
        value: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        # A text that was cut in the middle of a character is no reason to lose the ticket.
        mended = _ESCAPE.sub(
            lambda found: rb"\ufffd" if found.group(1) else found.group(0), content
        )
        if not mend or mended == content:
            raise
        content, value = mended, orjson.loads(mended)
    if len(_NAME_ENDS.findall(content)) != _count_names(value):  # else no name was lost
        try:
            json.loads(content, object_pairs_hook=_each_name_once)
        except RecursionError:
            raise RepeatedNameError("nested too deeply to tell whether a name repeats") from None
    return value


def _count_names(value: object) -> int:
    """Names of all objects within a value, however deep."""
    count, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            count += len(one)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return count


def _each_name_once(pairs: list[tuple[str, object]]) -> None:
    names = {name for name, _ in pairs}
    if len(names) < len(pairs):
        twice = next(name for name, count in Counter(n for n, _ in pairs).items() if count > 1)
        raise RepeatedNameError(f"the name {twice[:60]!r} comes twice in one object")


def compressed(headers: Headers) -> Response | None:
    """The problem with a body that is declared as compressed."""
    if headers.get("content-encoding", "identity").strip().lower() == "identity":
        return None
    detail = "expected a body without Content-Encoding"
    accepted = {"Accept-Encoding": "identity"}  # RFC 9110, section 15.5.16
    return problem("unsupported-media-type", detail, headers=accepted)


def parsed(
    headers: Headers, content: bytes, *, mend: bool = True
) -> tuple[Response | None, object]:
    """The JSON of a body, or the problem with it or with what its headers declare it to be."""
    if (packed := compressed(headers)) is not None:
        return packed, None
    kind = _kind(headers.get("content-type"))
    if kind != "application/json" and not kind.endswith("+json"):
        return problem("unsupported-media-type", "expected application/json"), None
    try:
        # RFC 8259 lets a reader ignore the mark that some editors and scripts put first.
        return None, json_of(content.removeprefix(codecs.BOM_UTF8), mend=mend)
    except orjson.JSONDecodeError as error:
        return problem("broken-json", f"{error.msg} at character {error.pos}"), None
    except RepeatedNameError as error:
        return problem("broken-json", str(error)), None


NDJSON = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
"""Media types of one JSON value a line."""


def is_ndjson(content_type: str | None) -> bool:
    """Whether a body is declared as one JSON value a line."""
    return _kind(content_type) in NDJSON


def _kind(content_type: str | None) -> str:
    return (content_type or "application/json").partition(";")[0].strip().lower()


def native_problem(path: str, headers: Headers, content: bytes, now: datetime) -> Response | None:
    """What is wrong with the body of a native route; None for one that can be scored.

    BentoML answers bad bodies in a shape of its own, and some with a 500; none of them gets there.
    """
    refusal, body = parsed(headers, content, mend=False)
    if refusal is not None:
        return refusal
    try:
        if path == "/score":
            moment_of(ChangeIn.model_validate(body), now)
            return None
        if not isinstance(body, dict) or "changes" not in body:
            fault = {"pointer": "/changes", "detail": "this field is needed"}
            return problem("invalid", "1 field could not be understood", errors=[fault])
        changes = _BULK.validate_python({"changes": body["changes"]})["changes"]
        if len(changes) > MOST_AT_ONCE:
            fault = {"pointer": "/changes", "detail": f"expected at most {MOST_AT_ONCE} changes"}
            return problem("invalid", "1 field could not be understood", errors=[fault])
        for change in changes:
            moment_of(change, now)
    except ValidationError as error:
        return of_validation(error)
    except InputError as error:
        return of_input(error)
    return None
