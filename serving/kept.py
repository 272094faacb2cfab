"""Webhook bodies that could not be used, kept so that they can be looked at and sent again.

A folder under the home, readable by its owner only, that never grows beyond ``MOST`` files: the
oldest goes. Values of fields that name people are blanked where the body is JSON; a body that is
not even that is kept as it came, cut at ``LONGEST`` bytes.
"""

from __future__ import annotations

import base64
import itertools
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

_log = logging.getLogger(__name__)

MOST = 1_000
"""Bodies kept; beyond that the oldest goes."""

LONGEST = 64 * 1024
"""Bytes kept of a body."""

MOST_VALUES = 20_000
"""Values of a body that are walked to blank people; a larger one is not kept in full."""

PEOPLE = frozenset(
    [
        "additional_assignee_list", "admincc", "approvers", "assigned_to", "assignee", "author",
        "caller_id", "cc", "closed_by", "creator", "displayname", "emailaddress", "implementer",
        "lastupdatedby", "opened_by", "owner", "reporter", "requested_by", "requestor",
        "resolved_by", "sys_created_by", "sys_updated_by", "updateauthor", "user", "watch_list",
        "work_notes_list",
    ]
)  # fmt: skip
"""Names of fields that hold people, in lower case."""

_numbers = itertools.count()


@dataclass(frozen=True)
class KeptBody:
    """A body that was refused.

    Parameters
    ----------
    body : object
        Its JSON, or None where it is none; ``raw`` then holds its bytes.
    """

    path: Path
    vendor: str
    received_at: str
    problem: str
    body: object
    raw: bytes | None


class Kept:
    """The folder of refused bodies.

    Parameters
    ----------
    folder : Path
        Made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, vendor: str, content: bytes, problem: Mapping[str, Any], now: datetime) -> None:
        """Keep a body and why it was refused; what goes wrong here is only logged."""
        entry = {"vendor": vendor, "received_at": now, "problem": problem, **_stored(content)}
        name = f"{now:%Y%m%dT%H%M%S.%f}-{os.getpid()}-{next(_numbers):06}-{vendor}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(entry))
            self._make_room()
        except OSError as error:
            _log.error("a refused body could not be kept: %s", error.strerror)

    def _make_room(self) -> None:
        names = sorted(entry.name for entry in os.scandir(self._folder))
        for name in names[: max(len(names) - MOST, 0)]:
            (self._folder / name).unlink(missing_ok=True)

    def bodies(self) -> Iterator[KeptBody]:
        """What is kept, oldest first."""
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob("*.json")):
            try:
                entry = orjson.loads(path.read_bytes())
                raw = base64.b64decode(entry["raw"]) if "raw" in entry else None
                yield KeptBody(
                    path=path,
                    vendor=str(entry["vendor"]),
                    received_at=str(entry["received_at"]),
                    problem=str(entry["problem"].get("detail", "")),
                    body=entry.get("body"),
                    raw=raw,
                )
            except (OSError, ValueError, KeyError, AttributeError):
                _log.warning("%s could not be read", path.name)


def _stored(content: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {"raw": base64.b64encode(content[:LONGEST]).decode(), "length": len(content)}
    if len(content) > LONGEST or not blank_people(body):
        return {"body": None, "length": len(content)}
    return {"body": body}


def blank_people(body: object) -> bool:
    """Blank, in place, the values of fields that name people.

    Returns
    -------
    bool
        Whether all of the body was walked.
    """
    waiting: list[object] = [body]
    for _ in range(MOST_VALUES):
        if not waiting:
            return True
        value = waiting.pop()
        if isinstance(value, dict):
            for name in value:
                if name.casefold() in PEOPLE:
                    value[name] = ""
                else:
                    waiting.append(value[name])
        elif isinstance(value, list):
            waiting.extend(value)
    return not waiting
