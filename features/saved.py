"""A state on disk: arrays that every worker maps instead of building them, and shares.

One folder holds one state: NumPy arrays, the facts as Arrow files, and ``state.json``, which says
what the state was made from and the length and checksum of every file. A folder appears whole or
not at all, is never changed, and is refused if anything about it is not as expected: it can always
be made again from the store. Nothing in it is unpickled.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from features import catalogue
from features.columns import RECORD_TYPES
from features.facts import Facts, Lookup, doors_of
from features.history import History
from features.index import EventIndex
from features.mapped import read_table, write_table
from features.names import SavedNames, Vocabulary
from features.overlap import OverlapIndex
from features.place import NOWHERE, Place
from features.policy import LabelPolicy
from features.segment import NONE, Segment
from features.state import FeatureState
from features.store import Store
from features.streams import SLOTS, Vocabularies
from features.topology import STREAMS, Neighbours, Topology

_log = logging.getLogger(__name__)

REBUILT_AFTER = 20_000
"""Facts written since a state was saved from which on it is made anew instead of extended."""

KEPT = 2
"""Saved states that stay: the newest, and one that others may be about to open."""

KEPT_IN_ALL = 6
"""Of all labels and versions together."""

ABANDONED_SECONDS = 3600.0
"""How much older than the newest state a draft must be to have been left by a process that died."""

_DESCRIPTION = "state.json"
_SEGMENT = (
    *("axis", "listed", "first", "begins", "ranks", "owners"),
    *("owned", "owned_at", "stream_of"),
)


class SavedStateError(Exception):
    """A saved state is damaged or of something else; the message says how."""


def open_state(
    store: Store, policy: LabelPolicy, folder: Path | None, place: Place = NOWHERE
) -> FeatureState:
    """The state of a store: a saved one with what was written since, else a new one, saved.

    Parameters
    ----------
    folder : Path or None
        Where states are saved; None to build one in memory.
    place : Place
        Where the organisation is.
    """
    if folder is None:
        return FeatureState(store.load().placed(place), policy).prepare()
    state = _newest(store, policy, folder)
    if state is not None:
        newer = store.load(after=state.watermark)
        if len(newer) <= REBUILT_AFTER:
            state.place = place
            return state.extended(newer)
    built = FeatureState(store.load().placed(place), policy).prepare()
    try:
        saved = save(built, folder, store.digest(built.watermark))
        state = load(saved, policy, store.digest)
        state.place = place
        return state
    except (OSError, SavedStateError) as error:
        _log.warning("the index could not be saved and is kept in memory: %s", error)
        return built


def _newest(store: Store, policy: LabelPolicy, folder: Path) -> FeatureState | None:
    """The last saved state that fits; None where there is none."""
    for place in _places(folder, fingerprint(policy)):
        try:
            return load(place, policy, store.digest)
        except (OSError, SavedStateError) as error:
            _log.warning("the saved index %s is not used: %s", place.name, error)
    return None


def _places(folder: Path, mark: str) -> list[Path]:
    """Folders of saved states of one fingerprint, the newest first."""
    found = [
        (int(number), place)
        for place in folder.glob(f"*-{mark}")
        if (number := place.name.partition("-")[0]).isdecimal()
    ]
    return [place for _, place in sorted(found, reverse=True)]


def fingerprint(policy: LabelPolicy) -> str:
    """A digest of all that a state depends on besides the facts: features, label and this code."""
    said = [catalogue.fingerprint(), asdict(policy), SLOTS, np.__version__, _code()]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()[:16]


@cache
def _code() -> str:
    """A digest of the modules that make a state, as they were when this process first asked."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


# writing -----------------------------------------------------------------------------------------


def save(state: FeatureState, folder: Path, source: str) -> Path:
    """Write a state that was built at once into a folder of its own; returns that folder.

    Parameters
    ----------
    source : str
        Digest of the store's writes up to the state's watermark.
    """
    mark = fingerprint(state.policy)
    place = folder / f"{state.watermark}-{mark}"
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=folder))
    try:
        for name, array in _arrays_of(state):
            np.save(draft / f"{name}.npy", array, allow_pickle=False)
        history = state.facts.parts[0]
        for kind in RECORD_TYPES:
            write_table(history[kind], draft / f"{kind.__name__}.arrow")
        files = {path.name: _sum_of(path) for path in sorted(draft.iterdir())}
        said = {"source": source, "watermark": state.watermark, "mark": mark, "files": files}
        (draft / _DESCRIPTION).write_bytes(orjson.dumps(said))
        if place.exists():
            shutil.rmtree(place, ignore_errors=True)  # it was refused, or is the same
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _tidy(folder, mark)
    return place


def _tidy(folder: Path, mark: str) -> None:
    """Remove what no worker will open any more, and drafts that were left lying."""
    places = sorted(folder.iterdir(), key=lambda place: place.stat().st_mtime, reverse=True)
    newest = places[0].stat().st_mtime
    drafts = [place for place in places if place.name.startswith("draft-")]
    left = [place for place in drafts if place.stat().st_mtime < newest - ABANDONED_SECONDS]
    older = [place for place in places if place not in drafts][KEPT_IN_ALL:]
    for place in {*_places(folder, mark)[KEPT:], *older, *left}:
        shutil.rmtree(place, ignore_errors=True)


def _arrays_of(state: FeatureState) -> Iterator[tuple[str, Any]]:
    base = state.index.base
    for name in _SEGMENT:
        yield f"events.{name}", getattr(base, name)
    yield from _arrays_of_topology(state.topology)
    [schedule] = state.schedule
    for name, array in schedule.arrays().items():
        yield f"schedule.{name}", array
    for kind, vocabulary in state.names.by_kind.items():
        for name, array in SavedNames.of(vocabulary.names).arrays().items():
            yield f"names.{kind}.{name}", array
    for door in doors_of(state.policy):
        lookup = state.facts.lookup(door)
        yield f"lookup.{door[0].__name__}.{door[1]}.digests", lookup.digests
        yield f"lookup.{door[0].__name__}.{door[1]}.rows", lookup.rows


def _arrays_of_topology(topology: Topology) -> Iterator[tuple[str, Any]]:
    for name in (*_SEGMENT, "cumulated"):
        array = getattr(topology.index.base, name)
        yield f"topology.events.{name}", NONE if array is None else array
    for place, neighbours in enumerate((*topology.hops, topology.needed_by)):
        for field in fields(Neighbours):
            yield f"topology.{place}.{field.name}", getattr(neighbours, field.name)


def _sum_of(path: Path) -> list[int]:
    """Length and checksum of a file."""
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return [path.stat().st_size, total]


# reading -----------------------------------------------------------------------------------------


def load(place: Path, policy: LabelPolicy, source: Callable[[int], str]) -> FeatureState:
    """A saved state, mapped from its folder.

    Parameters
    ----------
    source : callable
        Digest of the store's writes up to one of them, as given when the state was saved.

    Raises
    ------
    SavedStateError
        If a file is damaged or missing, or the state is not of these features, this label and the
        writes of this store.
    """
    watermark = _checked(place, policy, source)
    # Nothing is written to them, and what is would be this worker's own: as arrays that cannot be
    # written to they would be of another type to compiled code, which would be compiled once more.
    arrays = {
        path.name.removesuffix(".npy"): np.asarray(np.load(path, mmap_mode="c"))
        for path in place.glob("*.npy")
        if path.stat().st_size > 0
    }
    names = Vocabularies()
    for kind in names.by_kind:
        names.by_kind[kind] = Vocabulary(SavedNames(**_under(arrays, f"names.{kind}")))
    schedule = OverlapIndex(**_under(arrays, "schedule"))
    tables = {kind: read_table(kind, place / f"{kind.__name__}.arrow") for kind in RECORD_TYPES}
    lookups = {
        door: Lookup(**_under(arrays, f"lookup.{door[0].__name__}.{door[1]}"))
        for door in doors_of(policy)
    }
    base = Segment(cumulated=None, **_under(arrays, "events"))
    facts = Facts(History(tables, watermark), policy, lookups)
    return FeatureState.of_parts(
        policy, facts, names, EventIndex(SLOTS, base), schedule, _topology_of(arrays)
    )


def _topology_of(arrays: Mapping[str, Any]) -> Topology:
    part = _under(arrays, "topology.events")
    part["cumulated"] = part["cumulated"] if len(part["cumulated"]) else None
    index = EventIndex([(name, "ci") for name in STREAMS], Segment(**part))
    *hops, dependents = (Neighbours(**_under(arrays, f"topology.{place}")) for place in range(3))
    return Topology(hops, dependents, index)


def _under(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(f"{prefix}."): array
        for name, array in arrays.items()
        if name.startswith(f"{prefix}.")
    }


def _checked(place: Path, policy: LabelPolicy, source: Callable[[int], str]) -> int:
    """The watermark of a saved state that is whole and of the right things."""
    try:
        said = orjson.loads((place / _DESCRIPTION).read_bytes())
        watermark, files = int(said["watermark"]), dict(said["files"])
        mark, made_from = said["mark"], said["source"]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise SavedStateError(f"its description cannot be read ({error})") from error
    if mark != fingerprint(policy):
        raise SavedStateError("it was made for other features, another label or by other code")
    if made_from != source(watermark):
        raise SavedStateError("it was made from another history")
    for name, expected in files.items():
        if os.sep in name or _sum_of(place / name) != expected:
            raise SavedStateError(f"{name} is damaged")
    return watermark
