"""The engine's part of `make bench`: one process a size, so that peak memory is that size's own.

python -m tests.benchmarks.engine                        20k/60k and 200k/1M changes/incidents
CHANGERISK_BENCH_LARGE=1 python -m tests.benchmarks.engine         and 1M/5M: some minutes
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features import instants, saved
from features.catalogue import NAMES, WINDOWS
from features.columns import RECORD_TYPES, Columns, kinds
from features.counting import Counted, Moments
from features.evidence import Question
from features.history import History
from features.index import EventIndex
from features.policy import POLICIES
from features.records import Change, ChangeEvent, Incident, Link, Record
from features.segment import Events, Ints
from features.similar import similar_changes
from features.state import FeatureState
from features.streams import SLOTS
from features.sweep import Cursors
from features.table import Building, build
from tests.benchmarks.scale import END, Size, scale_history

SIZES = (Size(20_000, 60_000), Size(200_000, 1_000_000))
LARGE = Size(1_000_000, 5_000_000)
POLICY = POLICIES["incident"]
SHARED = ("changes", "decided", "failed")
KEYS = ("ci", "service", "team", "change_model", "category")
AT_ONCE = 25_000
WINDOW_MICROS = [days * instants.DAY for days in WINDOWS]


def main() -> None:
    """Measure one size, or start a process for each and compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--changes", type=int)
    parser.add_argument("--incidents", type=int)
    parser.add_argument("--open", type=Path, help="only open the state saved in this folder")
    parser.add_argument("--parts", action="store_true", help="only build the table into a file")
    parser.add_argument("--plain", action="store_true", help="the same from texts held row by row")
    given = parser.parse_args()
    if given.open:
        say(opened(given.open))
    elif given.parts or given.plain:
        say(in_parts(Size(given.changes, given.incidents), plain=given.plain))
    elif given.changes:
        say(measured(Size(given.changes, given.incidents)))
    else:
        compare(sizes())


def sizes() -> list[Size]:
    """The sizes to measure."""
    return [*SIZES, *([LARGE] if os.environ.get("CHANGERISK_BENCH_LARGE") else [])]


def say(found: dict[str, Any]) -> None:
    """One line of JSON."""
    sys.stdout.write(orjson.dumps(found).decode() + "\n")


def compare(sizes: list[Size]) -> None:
    """All sizes side by side."""
    found = [
        in_process("--changes", str(size.changes), "--incidents", str(size.incidents))
        for size in sizes
    ]
    for name in found[0]:
        shown = "".join(f"{one[name]:>16,.3f}" for one in found)
        sys.stdout.write(f"{name:44}{shown}\n")
    first, last = found[0], found[-1]
    times = math.log(last["index and table, cpu s"] / first["index and table, cpu s"])
    grown = times / math.log(last["changes"] / first["changes"])
    sys.stdout.write(f"{'growth exponent, smallest to largest':44}{grown:16.3f}\n")


def in_process(*arguments: str) -> dict[str, Any]:
    """What a process of its own measures."""
    command = [sys.executable, "-m", "tests.benchmarks.engine", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def clocked(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and what it gave."""
    begun = time.process_time()
    found = work()
    return time.process_time() - begun, found


def peak() -> float:
    """Most memory this process ever held, GiB; what ``getrusage`` tells of may be its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [held] = [line for line in lines if line.startswith("VmHWM")]
    return int(held.split()[1]) / 2**20


def measured(size: Size) -> dict[str, Any]:
    """All figures of one size."""
    history = scale_history(size)
    given = peak()
    indexed, state = clocked(lambda: FeatureState(history, POLICY))
    changes = history[Change]
    times = changes.times("known_at")
    built, table = clocked(lambda: build(changes, times, state, support=False))
    found = {
        "changes": size.changes,
        "revisions, each a row": len(changes),
        "rows of incidents": len(history[Incident]),
        "memory of the history itself, GiB": given,
        "index, cpu s": indexed,
        "table, cpu s": built,
        "index and table, cpu s": indexed + built,
        "rows a second": len(changes) / (indexed + built),
        "peak memory, GiB": peak(),
    }
    del table
    found |= against_pandas(state, changes, times)
    with tempfile.TemporaryDirectory() as folder:
        taken, place = clocked(lambda: saved.save(state.prepare(), Path(folder), "bench"))
        found["save, cpu s"] = taken
        bytes_ = sum(path.stat().st_size for path in place.iterdir())
        found["saved, GiB"] = bytes_ / 2**30
        os.sync()  # mapped pages that are not on disk yet would count as the worker's own
        found |= in_process("--open", str(place))
    asked = "--changes", str(size.changes), "--incidents", str(size.incidents)
    return found | in_process(*asked, "--parts") | in_process(*asked, "--plain")


def in_parts(size: Size, *, plain: bool) -> dict[str, Any]:
    """The table some rows at a time into a Parquet file, which is never held as a whole.

    Parameters
    ----------
    plain : bool
        Whether every row holds its own texts, as facts do that a program brings along; a large
        store is read with equal texts held once, and numbered.
    """
    history = scale_history(size)
    if plain:
        history = History({kind: _plain(history[kind]) for kind in RECORD_TYPES})
    indexed, state = clocked(partial(FeatureState, history, POLICY))
    del history
    changes = state.facts.parts[0][Change]
    state.without_facts()  # as the command that builds a table does
    with tempfile.TemporaryDirectory() as folder:
        taken, _ = clocked(lambda: _write(changes, state, Path(folder) / "table.parquet"))
    kind = "plain texts" if plain else "numbered texts"
    return {
        f"index and table into a file, {kind}, cpu s": indexed + taken,
        f"peak memory with a file, {kind}, GiB": peak(),
    }


def _plain(table: Columns) -> Columns:
    """The same with the texts of every row."""
    return Columns(table.record_type, {name: table[name] for name in kinds(table.record_type)})


def _write(changes: Columns, state: FeatureState, path: Path) -> None:
    building = Building(state, len(changes), support=False)
    times = changes.times("known_at")
    with pq.ParquetWriter(
        path, pa.schema([(name, pa.float64()) for name in NAMES]), use_dictionary=False
    ) as writer:
        bounds = np.linspace(0, len(changes), 1 + -(-len(changes) // AT_ONCE)).astype(int).tolist()
        for low, high in pairwise(bounds):
            values = building.add(changes.part(low, high), times[low:high]).values
            writer.write_batch(pa.record_batch([*values.T], names=[*NAMES]))


# the shared part: counts by key and window, from the same events ---------------------------------


def against_pandas(state: FeatureState, changes: Columns, times: Ints) -> dict[str, float]:
    """The same counts by this index and by ``merge_asof``, and that they are equal."""
    slots = [(stream, key) for key in KEYS for stream in SHARED]
    events = {slot: events_of(state, SLOTS.index(slot)) for slot in slots}
    fields = {"team": "assignment_group"}
    asked = {}
    for key in KEYS:
        names = changes[fields.get(key, key)]
        asked[key] = state.vocabulary(key).find(["" if n is None else n for n in names])
    ours, mine = clocked(lambda: by_index(events, asked, times))
    theirs, others = clocked(lambda: by_pandas(events, asked, times))
    for slot in slots:
        if not np.array_equal(mine[slot], others[slot]):
            raise AssertionError(f"the counts of {slot} differ")
    return {
        "shared part, cpu s": ours,
        "shared part by pandas merge_asof, cpu s": theirs,
        "times faster than merge_asof": theirs / ours,
    }


def events_of(state: FeatureState, slot: int) -> Events:
    """The events of one slot of the base, in the order of time, as the engine reads them."""
    base = state.index.base
    begins = base.names_in(slot)
    low, high = begins[[0, -1]].tolist()
    codes, ranks = np.repeat(np.arange(len(begins) - 1), np.diff(begins)), base.ranks[low:high]
    order = np.argsort(ranks, kind="stable")
    owners = base.owners[low:high].astype(np.int64)
    return Events.of(codes[order], base.axis[ranks[order]], owners[order])


def by_index(events: Any, asked: dict[str, Ints], times: Ints) -> dict[Any, Ints]:
    """Counts by the sorted index, its making included."""
    index = EventIndex.of(events, owned=False)
    found = {}
    nobody, each = np.full(len(times), -1), np.arange(len(WINDOWS))
    moments = Moments(times, WINDOW_MICROS)
    for key in KEYS:
        slots = np.array([index.slots[stream, key] for stream in SHARED])
        counted = Counted(
            slots, np.zeros(3, bool), np.repeat(np.arange(3), len(each)), np.tile(each, 3)
        )
        cursors = Cursors(index.base, counted)
        counts, _ = index.ask(counted, asked[key], moments, nobody, None, cursors)
        found |= {(s, key): counts[4 * n : 4 * n + 4] for n, s in enumerate(SHARED)}
    return found


def by_pandas(events: Any, asked: dict[str, Ints], times: Ints) -> dict[Any, Ints]:
    """The same by the usual recipe: running counts, joined as of both ends of each window."""
    found = {}
    for (stream, key), one in events.items():
        right = pd.DataFrame({"key": one.code, "time": one.time}).sort_values("time")
        right["n"] = right.groupby("key").cumcount() + 1
        left = pd.DataFrame({"key": asked[key], "row": np.arange(len(times)), "time": times})
        left = left.sort_values("time")

        def before(shift: int, left: pd.DataFrame = left, right: pd.DataFrame = right) -> Ints:
            moved = left.assign(time=left["time"] - shift)
            joined = pd.merge_asof(moved, right, on="time", by="key", allow_exact_matches=False)
            counts = np.zeros(len(left), np.int64)
            counts[joined["row"]] = joined["n"].fillna(0)
            return counts

        until = before(0)
        found[stream, key] = np.stack([until - before(window) for window in WINDOW_MICROS])
    return found


# a worker on a saved state -----------------------------------------------------------------------


def opened(place: Path) -> dict[str, Any]:
    """Start, memory, one row, a thousand rows, and new facts of every kind."""
    before = private()
    begun = time.perf_counter()
    taken, state = clocked(lambda: saved.load(place, POLICY, lambda _: "bench"))
    found = {"start of a worker, s": time.perf_counter() - begun, "start, cpu s": taken}
    changes = state.facts.parts[0][Change]
    chosen = np.random.default_rng(1).integers(0, len(changes), 500)
    rows = [Columns.from_records(Change, [changes.record(row)]) for row in chosen]
    times = [row.times("known_at") + 1 for row in rows]
    for row, at in zip(rows[:50], times[:50], strict=True):
        build(row, at, state)
    gc.collect()
    gc.freeze()  # as a worker does before its first answer
    found["private memory, MiB"] = private() - before
    spent = sorted(
        1000 * thread(lambda n=n: build(rows[n], times[n], state)) for n in range(len(rows))
    )
    found |= {"one row, p50 ms": spent[250], "one row, p99 ms": spent[495]}
    found |= alike(changes, chosen, state)
    many = rows[0].take(np.zeros(1000, np.int64))
    at = np.repeat(times[0], 1000)
    found["1,000 what-if rows, ms"] = 1000 * thread(lambda: build(many, at, state))
    for name, fact in news(changes, state).items():
        history = History.from_records([fact])
        found[f"new {name} counts after, ms"] = 1000 * thread(
            lambda h=history: state.extended(h)  # type: ignore[misc]
        )
    return found


def alike(changes: Columns, chosen: Ints, state: FeatureState) -> dict[str, float]:
    """The most similar earlier changes of some, none of which was asked about before."""
    before = private()
    until = changes.times("known_at") + 1
    asked = [Question(changes, row, int(until[row]), state) for row in chosen.tolist()]
    spent = sorted(1000 * thread(lambda one=one: similar_changes(one)) for one in asked)  # type: ignore[misc]
    at = len(spent) // 2, len(spent) * 99 // 100
    return {
        "similar changes of one, p50 ms": spent[at[0]],
        "similar changes of one, p99 ms": spent[at[1]],
        "memory of 500 such questions, MiB": private() - before,
    }


def thread(work: Callable[[], Any]) -> float:
    """CPU seconds of this thread: on a busy machine the wall's tell of the others."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def private() -> float:
    """Memory of this process that no other could share, MiB; pages of mapped files are not."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    kept = [line for line in lines if line.startswith("Private_Dirty")]
    return sum(int(line.split()[1]) for line in kept) / 1024


def news(changes: Columns, state: FeatureState) -> dict[str, Record]:
    """A new fact of every kind, about records that others speak of."""
    now = instants.from_micros(END)
    some = changes.record(len(changes) // 2)
    table = state.facts.parts[0][Link]
    link = table.record(len(table) // 2)
    if not (isinstance(some, Change) and isinstance(link, Link) and now):
        raise TypeError("expected a change and a link")
    later = now + timedelta(hours=1)
    shared: dict[str, Any] = {"occurred_at": now, "known_at": later}
    row = state.facts.of(Incident, "incident_id", [link.incident_id]).record(0)
    if not isinstance(row, Incident):
        raise TypeError("expected an incident")
    fresh = {field: getattr(some, field) for field in ("ci", "service", "assignment_group")}
    return {
        "change": Change(change_id="NEW-1", known_at=later, planned_start=later, **fresh),
        "revision": Change(change_id=link.change_id, known_at=later, planned_start=now, **fresh),
        "incident": Incident(incident_id="NEW-2", ci=some.ci, priority=1, **shared),
        "text that names a change": Incident(
            incident_id="NEW-3", short_description=f"after {some.change_id}", **shared
        ),
        "resolution of a linked incident": Incident(
            incident_id=row.incident_id, occurred_at=row.occurred_at, known_at=later,
            resolved_at=later, ci=row.ci,
        ),
        "link": Link(
            incident_id=link.incident_id, change_id=some.change_id, kind="caused_by",
            source="explicit", confidence=1.0, **shared,
        ),
        "back-out": ChangeEvent(change_id=some.change_id, kind="backed_out", **shared),
    }  # fmt: skip


if __name__ == "__main__":
    main()
