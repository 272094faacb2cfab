"""Changes that ask at the same time: answered at once, each as if it had asked alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from serving import scorer as scorer_module
from serving import together as together_module
from serving.contract import Answer, ChangeIn
from serving.measures import Measures
from serving.together import MOST, Together

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
OWN = ("score_id", "scored_at", "links")
"""What an answer says of itself."""


class Service:
    """Stands for a runtime: answers when it is let, and notes who was answered together."""

    def __init__(self) -> None:
        self.turns: list[list[str]] = []
        self.settled = 0
        self.free = threading.Event()
        self.bad: set[str] = set()

    def clock(self) -> datetime:
        return NOW

    def explained(self, changes: Sequence[ChangeIn]) -> list[Answer]:
        names = [change.change_id for change in changes]
        self.turns.append(names)
        self.free.wait(30)
        if found := self.bad & set(names):
            raise ZeroDivisionError(*found)
        return [answer_to(change) for change in changes]

    def answer(self, change: ChangeIn) -> Answer:
        return self.explained([change])[0]

    def unscored(self, change: ChangeIn, because: Any) -> Answer:
        return answer_to(change, status="not_scored", warnings=[because])

    def settle(self) -> None:
        self.settled += 1


def answer_to(change: ChangeIn, **said: Any) -> Answer:
    told = {"status": "scored", "summary": "", "input_hash": "", **said}
    times = {"as_of": NOW, "scored_at": NOW}
    return Answer(score_id="s", change_id=change.change_id, revision="1", **times, **told)


def changes_of(*names: str) -> list[ChangeIn]:
    return [ChangeIn(change_id=name) for name in names]


async def asked(
    service: Service, names: Sequence[str], *, let: bool = True
) -> list[Answer | BaseException]:
    """What changes get that ask while the first one of them is being answered."""
    together = Together(service, Measures())  # type: ignore[arg-type]
    first, *others = changes_of(*names)
    tasks = [asyncio.create_task(together.answer(first))]
    while not service.turns:
        await asyncio.sleep(0.01)
    tasks += [asyncio.create_task(together.answer(change)) for change in others]
    await asyncio.sleep(0.05)
    if let:
        service.free.set()
    found = await asyncio.gather(*tasks[1 - let :], return_exceptions=True)
    service.free.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


def run(service: Service, names: Sequence[str], *, let: bool = True) -> list[Any]:
    """The same in a loop of its own, whatever runs in this thread."""
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(lambda: asyncio.run(asked(service, names, let=let))).result()


def test_those_who_wait_are_answered_together() -> None:
    service = Service()
    names = [f"C{number}" for number in range(MOST + 3)]
    answers = run(service, names)
    assert [answer.change_id for answer in answers if isinstance(answer, Answer)] == names
    assert service.turns == [names[:1], names[1 : MOST + 1], names[MOST + 1 :]]
    assert service.settled, "what was written is taken in when nobody waits"


def test_a_change_that_comes_twice_waits_for_itself() -> None:
    service = Service()
    run(service, ["A", "B", "C", "B", "D", "A"])
    assert service.turns == [["A"], ["B", "C"], ["B", "D", "A"]]


def test_one_that_cannot_be_answered_takes_no_other_with_it() -> None:
    service = Service()
    service.bad = {"C"}
    found = run(service, ["A", "B", "C", "D"])
    assert [type(one) for one in found] == [Answer, Answer, ZeroDivisionError, Answer]


def test_who_waits_too_long_gets_an_answer_without_a_score(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(together_module, "WAIT_SECONDS", 0.2)
    service = Service()
    found = run(service, ["A", "B", "C"], let=False)
    assert [one.warnings[-1].code for one in found if isinstance(one, Answer)] == ["busy", "busy"]
    assert service.turns == [["A"]], "nobody answers them again afterwards"


# with a model ------------------------------------------------------------------------------------


def said(answer: Answer) -> dict[str, Any]:
    content = answer.model_dump(mode="json")
    return {name: value for name, value in content.items() if name not in OWN}


def test_together_is_as_alone(service: Any, ticket: Callable[..., Any]) -> None:
    scorer, now = service.runtime.scorer(), service.clock.now
    changes = [ChangeIn.model_validate({**ticket(), "revision": "1"}) for _ in range(12)]
    alone = [said(scorer.consider(change, now=now)) for change in changes]
    assert [said(answer) for answer in scorer.answers(changes, now=now)] == alone
    assert any(answer["levers"] for answer in alone)
    assert any(answer["collisions"] for answer in alone)
    rows = [body["features"] for body in service.journal()[-12:]]
    assert len({tuple(map(str, row)) for row in rows}) == 12


def test_of_those_together_one_that_fails_is_alone_without_a_score(
    service: Any, ticket: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = [ChangeIn.model_validate(ticket()) for _ in range(3)]
    real = scorer_module.with_score

    def fails(asked: Any, *given: Any) -> Answer:
        if asked.record.change_id == changes[1].change_id:
            raise ZeroDivisionError
        return real(asked, *given)

    monkeypatch.setattr(scorer_module, "with_score", fails)
    answers = service.runtime.explained(changes)
    assert [answer.status for answer in answers] == ["scored", "not_scored", "scored"]
    assert [entry["answer"]["status"] for entry in service.journal()[-3:]] == [
        "scored", "not_scored", "scored",
    ]  # fmt: skip
