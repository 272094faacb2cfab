"""Scoring without a server: the same scorer over a file of changes, read as it is consumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import orjson
from pydantic import ValidationError

from features.progress import Progress
from features.settings import Settings
from features.store import StoreUnavailableError
from serving.contract import Answer, ChangeIn
from serving.moment import InputError
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
    settings: Settings, file: IO[bytes], progress: Progress
) -> Iterator[tuple[Answer | None, dict[str, Any] | None]]:
    """Every change's answer, or None and the problem with it.

    Raises
    ------
    StoreUnavailableError
        If the store cannot be opened.
    """
    runtime = Runtime(settings)
    progress("load history and model", 0, None)
    if runtime.scorer() is None:
        raise StoreUnavailableError(runtime.ready()[1])
    for number, body in enumerate(_bodies(file)):
        progress("score", number, None)
        yield _answer(runtime, body)


def _answer(runtime: Runtime, body: _Body) -> tuple[Answer | None, dict[str, Any] | None]:
    if body.fault:
        refused = problem("broken-json", body.fault)
    else:
        try:
            return runtime.answer(ChangeIn.model_validate(body.content)), None
        except ValidationError as error:
            refused = of_validation(error)
        except InputError as error:
            refused = of_input(error)
    return None, {"where": body.where, **orjson.loads(bytes(refused.body))}


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
        return _Body(where, orjson.loads(content))
    except orjson.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        return _Body(where, fault=f"{where}: {error.msg} at {line}character {error.colno}")
