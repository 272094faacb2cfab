"""Files of changes: every form, in order, as they are read; a broken one does not stop the rest."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from features.progress import silent
from features.settings import Settings
from features.store import StoreUnavailableError
from serving import offline
from serving.contract import Answer
from serving.plaintext import lines

Given = list[tuple[Any, dict[str, Any] | None]]


@pytest.fixture
def scored(shared: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Given]:
    """What comes of a file, with the runtime that is open already."""
    monkeypatch.setattr(offline, "Runtime", lambda _settings: shared.runtime)
    settings = shared.runtime.settings
    return lambda content: list(offline.answers(settings, io.BytesIO(content), silent))


def ids(found: Given) -> list[str | None]:
    return [None if answer is None else answer.change_id for answer, _ in found]


A, B, C = ({"change_id": name, "short_description": "Ünïcode\nin two lines"} for name in "ABC")


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([A, B, C]),
        json.dumps([A, B, C], indent=2),
        json.dumps([A, B, C], indent=2).replace("\n", "\r\n"),
        "\n".join(map(json.dumps, [A, B, C])),
        "\n".join(map(json.dumps, [A, B, C])) + "\n",
        "\r\n".join(map(json.dumps, [A, B, C])) + "\r\n",
        "\n\n" + "\n\n  \n".join(map(json.dumps, [A, B, C])),
        "\ufeff" + "\n".join(map(json.dumps, [A, B, C])),
    ],
    ids=["array", "pretty", "CRLF", "lines", "ended", "CRLF lines", "blank lines", "BOM"],
)
def test_several_changes(scored: Callable[[bytes], Given], content: str) -> None:
    assert ids(scored(content.encode())) == ["A", "B", "C"]


@pytest.mark.parametrize(
    "content", [json.dumps(A), json.dumps(A, indent=4), json.dumps(A) + "\n\n"]
)
def test_one_change(scored: Callable[[bytes], Given], content: str) -> None:
    assert ids(scored(content.encode())) == ["A"]


def test_an_empty_array_is_no_change(scored: Callable[[bytes], Given]) -> None:
    assert scored(b"[]") == []


@pytest.mark.parametrize(
    ("content", "where", "detail"),
    [
        (b"", "the file", "zero-length"),
        (b"\n \n", "the file", "zero-length"),
        (b"change CHG1", "the file", "character"),
        (b'{\n"change_id": "A",\n}', "the file", "line 2"),
        (b'[{"change_id": "A"},', "the file", "character"),
        (b"[1]", "entry 1", "1 field"),
        (b"null", "the file", "1 field"),
        (b'[{"change_id": "A"}]\n[{"change_id": "B"}]', "the file", "after document"),
    ],
)
def test_what_is_no_change(
    scored: Callable[[bytes], Given], content: bytes, where: str, detail: str
) -> None:
    ((answer, problem),) = scored(content)
    assert answer is None
    assert problem is not None
    assert problem["where"] == where
    assert detail in problem["detail"]
    assert {"title", "status", "type"} <= set(problem)


@pytest.mark.parametrize("broken", [0, 1, 2])
@pytest.mark.parametrize("line", ['{"change_id": "X"', '{"change_id": []}', "x", '"X"', "\xff"])
def test_a_broken_line_stops_nothing(
    scored: Callable[[bytes], Given], broken: int, line: str
) -> None:
    rows = [json.dumps(A), json.dumps(B)]
    rows.insert(broken, line)
    found = scored("\n".join(rows).encode("latin-1"))
    expected: list[str | None] = ["A", "B"]
    expected.insert(broken, None)
    assert ids(found) == expected
    problem = found[broken][1]
    assert problem is not None
    assert problem["where"] == f"line {broken + 1}"


def test_a_broken_entry_stops_nothing(scored: Callable[[bytes], Given]) -> None:
    found = scored(json.dumps([A, {"change_id": 1, "as_of": "2199-01-01T00:00Z"}, B]).encode())
    assert ids(found) == ["A", None, "B"]
    assert found[1][1] is not None
    assert found[1][1]["where"] == "entry 2"
    assert found[1][1]["errors"][0]["pointer"] == "/as_of"


class Endless(io.RawIOBase):
    """Changes, a line each, without end."""

    def __init__(self) -> None:
        self.read_so_far = 0

    def readline(self, _size: int | None = -1) -> bytes:
        self.read_so_far += 1
        return json.dumps({"change_id": f"ENDLESS{self.read_so_far}"}).encode() + b"\n"

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self.readline()


def test_lines_are_answered_as_they_come(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "Runtime", lambda _settings: shared.runtime)
    file = Endless()
    found = offline.answers(shared.runtime.settings, file, silent)  # type: ignore[arg-type]
    for number in range(1, 5):
        answer, _ = next(found)
        assert answer is not None
        assert answer.change_id == f"ENDLESS{number}"
        assert file.read_so_far <= number + 1


@pytest.mark.parametrize(
    ("ratio", "told"),
    [(1.3, "band low, riskier"), (2.04, "band low, 2.0 times the usual, riskier"),
     (0.5, "band low, 0.5 times the usual, riskier")],
)  # fmt: skip
def test_a_ratio_is_told_where_it_is_worth_it(shared: Any, ratio: float, told: str) -> None:
    answer = Answer.model_validate(shared.score({"change_id": "RATIO"}))
    said = answer.model_copy(update={"risk_band": "low", "times_base_rate": ratio})
    assert any(line.startswith(told) for line in lines(said))


def test_without_a_store_nothing_is_scored(tmp_path: Path) -> None:
    (tmp_path / "history.db").mkdir()
    settings = Settings.from_environment({"CHANGERISK_HOME": str(tmp_path)})
    with pytest.raises(StoreUnavailableError, match="cannot open the store"):
        next(offline.answers(settings, io.BytesIO(b"{}"), silent))


# the command -------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of three changes, the second one broken."""
    path = tmp_path / "changes.jsonl"
    path.write_text(f"{json.dumps(A)}\n{{\n{json.dumps(B)}\n")
    return path


def test_the_command_answers_what_it_can(
    shared: Any, cli: Callable[..., Any], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "Runtime", lambda _settings: shared.runtime)
    ran = cli(shared.home, "score", str(file), "--json")
    assert ran.code == 2
    assert [answer["change_id"] for answer in ran.lines()] == ["A", "B"]
    assert '"where": "line 2"' in ran.err

    ran = cli(shared.home, "score", str(file))
    assert ran.code == 2
    assert ran.out.startswith("A (revision 1): degraded\nAbout ")
    for words in ("band ", "suggested route: cab", "note: The configuration item is missing"):
        assert words in ran.out
    assert ran.out.count("\nscore ") == 2


def test_the_command_reads_standard_input(
    shared: Any,
    cli: Callable[..., Any],
    upcoming: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offline, "Runtime", lambda _settings: shared.runtime)
    content = io.BytesIO(json.dumps(upcoming[:2]).encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
    ran = cli(shared.home, "score", "-")
    assert ran.code == 0
    for body in upcoming[:2]:
        assert f"{body['change_id']} (revision {body['revision']}): scored" in ran.out
    assert "  ▲  +" in ran.out
    assert "  ▼  -" in ran.out
