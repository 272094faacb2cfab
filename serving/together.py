"""Changes that ask for a score at the same time, answered together.

Most of what an answer costs is asked once, however many rows it is asked for: a table, a walk of
trees, a transaction. So those that arrive while others are being answered wait for their turn and
are then answered at once, as of one moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from starlette.concurrency import run_in_threadpool

from serving.answers import waited_in_vain
from serving.contract import Answer, ChangeIn
from serving.measures import Measures
from serving.moment import moment_of
from serving.runtime import Runtime
from serving.scorer import WAIT_SECONDS

MOST = 16
"""Changes answered at once; what else waits for the history waits so long."""


@dataclass(eq=False)
class _Waiting:
    """A change whose turn has not come, and where its answer is expected."""

    change: ChangeIn
    answer: asyncio.Future[Answer]


@dataclass
class _Line:
    """Those who wait in one event loop, in the order in which they came."""

    waiting: list[_Waiting] = field(default_factory=list)
    at_work: asyncio.Task[None] | None = None


class Together:
    """Gives answers, to those who wait at the same time together.

    Parameters
    ----------
    runtime : Runtime
        Store, model and clock.
    measures : Measures
        Told of every answer.
    """

    def __init__(self, runtime: Runtime, measures: Measures) -> None:
        self._runtime = runtime
        self._measures = measures
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()

    async def answer(self, change: ChangeIn) -> Answer:
        """The answer to a change, when its turn has come; without a score where that takes too
        long.

        Raises
        ------
        InputError
            If the change cannot be scored as it stands.
        """
        moment_of(change, self._runtime.clock())
        begun = time.perf_counter()
        answer = await self._awaited(change)
        self._measures.measured(answer, time.perf_counter() - begun)
        return answer

    async def _awaited(self, change: ChangeIn) -> Answer:
        loop = asyncio.get_running_loop()
        line = self._lines.setdefault(loop, _Line())
        one = _Waiting(change, loop.create_future())
        line.waiting.append(one)
        if line.at_work is None or line.at_work.done():
            line.at_work = loop.create_task(self._work_off(line))
        await asyncio.wait([one.answer], timeout=WAIT_SECONDS)
        if one in line.waiting:
            line.waiting.remove(one)
            unscored = self._runtime.unscored
            return await run_in_threadpool(unscored, change, waited_in_vain())
        return await one.answer

    async def _work_off(self, line: _Line) -> None:
        """Answer those who wait until nobody does."""
        while line.waiting:
            turn = _turn(line.waiting)
            line.waiting = [one for one in line.waiting if one not in turn]
            changes = [one.change for one in turn]
            try:
                answers = await run_in_threadpool(self._runtime.explained, changes)
            except Exception:  # noqa: BLE001 - one of them is at fault; alone, each finds out for itself
                for one in turn:
                    await self._alone(one)
            else:
                for one, answer in zip(turn, answers, strict=True):
                    if not one.answer.done():
                        one.answer.set_result(answer)
            # What was written must be taken in before the next turn anyway. Meanwhile those who got
            # their answers come back, and are part of it.
            await run_in_threadpool(self._runtime.settle)

    async def _alone(self, one: _Waiting) -> None:
        try:
            answer = await run_in_threadpool(self._runtime.answer, one.change)
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            if not one.answer.done():
                one.answer.set_exception(error)
        else:
            if not one.answer.done():
                one.answer.set_result(answer)


def _turn(waiting: Sequence[_Waiting]) -> list[_Waiting]:
    """Who is answered next: the first of them, without a change that comes twice."""
    turn: dict[str, _Waiting] = {}
    for one in waiting[:MOST]:
        if one.change.change_id in turn:
            break
        turn[one.change.change_id] = one
    return list(turn.values())
