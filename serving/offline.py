"""Scoring without a server: the same scorer over a file of changes, read as it is consumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import IO, Any

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from features.progress import Progress
from features.settings import Settings
from features.store import StoreUnavailableError
from serving.bodies import RepeatedNameError, json_of
from serving.bulk import CHUNK, chunks
from serving.contract import Answer, ChangeIn
from serving.moment import InputError, moment_of
from serving.problems import of_input, of_validation, problem
from serving.runtime import Runtime

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class _Body:
    """One change of the file: where it stands, and its content or what is wrong with it."""

    where: str
    content: object = None
    fault: str = ""


def answers(
    settings: Settings, file: IO[bytes], progress: Progress, *, reasons: bool = True
) -> Iterator[tuple[Answer | None, dict[str, Any] | None]]:
    """Every change's answer, or None and the problem with it.

    Parameters
    ----------
    file : binary file
        One change as JSON, a list of them, or one a line.
    reasons : bool
        False for numbers alone, many times faster: no factors, evidence or levers.

    Raises
    ------
    StoreUnavailableError
        If the store cannot be opened.
    """
    runtime = Runtime(settings)
    progress("load history and model", 0, None)
    if runtime.scorer() is None:
        raise StoreUnavailableError(runtime.ready()[1])
    if not reasons:
        yield from _numbers(runtime, file, progress)
        return
    for number, body in enumerate(_bodies(file)):
        progress("score", number, None)
        yield _answer(runtime, body)


def _numbers(
    runtime: Runtime, file: IO[bytes], progress: Progress
) -> Iterator[tuple[Answer | None, dict[str, Any] | None]]:
    """The same in parts, so that of a file of any size only a part is in memory."""
    bodies, done = _bodies(file), 0
    while part := list(islice(bodies, CHUNK)):
        read = [(body, *understood(body, runtime.clock())) for body in part]
        changes = [change for _, change, _ in read if change is not None]
        found = iter([answer for some in chunks(changes) for answer in runtime.answers(some)])
        for body, change, refused in read:
            yield (next(found), None) if change is not None else (None, _problem(body, refused))
        done += len(part)
        progress("score", done, None)


def _answer(runtime: Runtime, body: _Body) -> tuple[Answer | None, dict[str, Any] | None]:
    change, refused = understood(body, runtime.clock())
    if change is None:
        return None, _problem(body, refused)
    try:
        return runtime.answer(change), None
    except InputError as error:  # a moment has passed since it was looked at
        return None, _problem(body, of_input(error))


def understood(body: _Body, now: datetime) -> tuple[ChangeIn | None, Response | None]:
    """The change that a body is, or what is wrong with it."""
    if body.fault:
        return None, problem("broken-json", body.fault)
    try:
        change = ChangeIn.model_validate(body.content)
        moment_of(change, now)
    except ValidationError as error:
        return None, of_validation(error)
    except InputError as error:
        return None, of_input(error)
    return change, None


def _problem(body: _Body, refused: Response | None) -> dict[str, Any]:
    said = {} if refused is None else orjson.loads(bytes(refused.body))
    return {"where": body.where, **said}


def _bodies(file: IO[bytes]) -> Iterator[_Body]:
    """One change a line where the first line is one; else one object or array in all."""
    first = file.readline().removeprefix(_BOM)
    number = 1
    while first and not first.strip():
        first, number = file.readline(), number + 1
    body = _loaded(first, f"line {number}")
    if isinstance(body.content, dict):
        yield body
        yield from _lines(file, number + 1)
        return
    lines = [first, *file]
    whole = _loaded(b"".join(lines), "the file")
    if isinstance(whole.content, list):
        for place, entry in enumerate(whole.content, start=1):
            yield _Body(f"entry {place}", entry)
    elif whole.fault and any(isinstance(one.content, dict) for one in _lines(lines, number)):
        yield from _lines(lines, number)
    else:
        yield whole


def _lines(lines: IO[bytes] | list[bytes], number: int) -> Iterator[_Body]:
    for place, line in enumerate(lines, start=number):
        if line.strip():
            yield _loaded(line, f"line {place}")


def _loaded(content: bytes, where: str) -> _Body:
    try:
        return _Body(where, json_of(content))
    except orjson.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        return _Body(where, fault=f"{where}: {error.msg} at {line}character {error.colno}")
    except RepeatedNameError as error:
        return _Body(where, fault=f"{where}: {error}")
