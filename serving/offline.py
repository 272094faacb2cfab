"""Scoring without a server: the same scorer over a file of changes, read as it is consumed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import orjson
from pydantic import ValidationError

from features.progress import Progress
from serving.contract import Answer, ChangeIn
from serving.problems import of_validation
from serving.runtime import Runtime
from serving.scorer import InputError
from serving.settings import Settings


def answers(
    settings: Settings, file: IO[bytes], progress: Progress
) -> Iterator[tuple[Answer | None, dict[str, Any] | None]]:
    """Every change's answer, or the problem with it and None."""
    runtime = Runtime(settings)
    progress("load history and model", 0, None)
    runtime.scorer()
    for number, (body, fault) in enumerate(_bodies(file)):
        progress("score", number, None)
        if fault is not None:
            yield None, fault
            continue
        try:
            yield runtime.answer(ChangeIn.model_validate(body)), None
        except ValidationError as error:
            yield None, orjson.loads(bytes(of_validation(error).body))
        except InputError as error:
            yield None, {"title": "Some fields cannot be used", "detail": str(error)}


def _bodies(file: IO[bytes]) -> Iterator[tuple[object, dict[str, Any] | None]]:
    """One object a line where the first line is one; else one object or array in all."""
    first = file.readline()
    try:
        body = orjson.loads(first)
    except orjson.JSONDecodeError:
        yield from _whole(first + file.read())
        return
    if isinstance(body, list):
        yield from ((entry, None) for entry in body)
        return
    yield body, None
    for number, line in enumerate(file, start=2):
        if line.strip():
            try:
                yield orjson.loads(line), None
            except orjson.JSONDecodeError as error:
                yield None, _broken(error, f"line {number}: ")


def _whole(content: bytes) -> Iterator[tuple[object, dict[str, Any] | None]]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        yield None, _broken(error)
        return
    yield from ((entry, None) for entry in (body if isinstance(body, list) else [body]))


def _broken(error: orjson.JSONDecodeError, where: str = "") -> dict[str, Any]:
    title = "The input is not JSON"
    return {"title": title, "detail": f"{where}{error.msg} at character {error.pos}"}
