"""Changes that ask for a score at the same time, answered together.

Most of what an answer costs is asked once, however many rows it is asked for: a table, a walk of
trees, a transaction. So those that arrive while others are being answered wait for their turn and
are then answered at once, as of one moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
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


Found = Answer | Exception
"""An answer, or why there is none."""


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
        # One thread, and one way there and back for a turn: those of the pool are two, and longer.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answers")
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
        loop = asyncio.get_running_loop()
        while line.waiting:
            turn = _turn(line.waiting)
            line.waiting = [one for one in line.waiting if one not in turn]
            in_context = copy_context().run
            await loop.run_in_executor(self._thread, in_context, self._take, turn, loop)

    def _take(self, turn: Sequence[_Waiting], loop: asyncio.AbstractEventLoop) -> None:
        """Answer a turn, and take in what was written.

        That must be done before the next turn anyway. Meanwhile those who got their answers come
        back, and are part of it.
        """
        try:
            found: Sequence[Found] = self._runtime.explained([one.change for one in turn])
        except Exception:  # noqa: BLE001 - one of them is at fault; alone, each finds out for itself
            found = [self._alone(one.change) for one in turn]
        loop.call_soon_threadsafe(_tell, turn, found)
        self._runtime.settle()

    def _alone(self, change: ChangeIn) -> Found:
        try:
            return self._runtime.answer(change)
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            return error


def _tell(turn: Sequence[_Waiting], found: Sequence[Found]) -> None:
    """Give those who wait their answers, unless they have gone."""
    for one, answer in zip(turn, found, strict=True):
        if one.answer.done():
            continue
        if isinstance(answer, Exception):
            one.answer.set_exception(answer)
        else:
            one.answer.set_result(answer)


def _turn(waiting: Sequence[_Waiting]) -> list[_Waiting]:
    """Who is answered next: the first of them, without a change that comes twice."""
    turn: dict[str, _Waiting] = {}
    for one in waiting[:MOST]:
        if one.change.change_id in turn:
            break
        turn[one.change.change_id] = one
    return list(turn.values())
