"""Folds kept on disk, so that a long evaluation goes on where it was interrupted.

A fold is found again by everything it was made of: the feature table, the outcomes known, the
split, the settings and the versions of what fits it. Whatever differs, the fold is made anew.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import orjson
from numpy.typing import NDArray

from models import estimator_file, forest_arrays
from models.bundle import BundleError
from models.calibration import Platt
from models.usual import Usual
from training.config import TrainingConfig
from training.fit import Fitted
from training.rows import TrainingRows
from training.splits import Split

Floats = NDArray[np.float64]

MOST_FOLDS = 200
"""Folds kept; those not asked for the longest go first."""

_PROTOCOL = "2"


@dataclass(frozen=True)
class Kept:
    """A folder of folds.

    Parameters
    ----------
    folder : Path
        Made where it is missing. May be emptied at any time: what is gone is computed again.
    """

    folder: Path

    def key(
        self, rows: TrainingRows, split: Split, config: TrainingConfig, *details: object
    ) -> str:
        """The name of a fold: a digest of everything it is made of.

        Parameters
        ----------
        rows : TrainingRows
            All rows.
        split : Split
            Which of them are learnt from and tested.
        *details
            Whatever else makes a fold another one.
        """
        found = hashlib.sha256(rows.digest().encode())
        for mask in (split.train, split.calibrate, split.learnt, split.test):
            found.update(np.packbits(mask).tobytes())
        versions = [importlib.metadata.version(name) for name in ("change-risk", "scikit-learn")]
        moments = [split.calibrate_from, split.test_from]
        facts = [_PROTOCOL, *versions, *moments, config.facts(), *map(str, details)]
        found.update(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS))
        return found.hexdigest()

    def get(self, key: str) -> tuple[Fitted, dict[str, Floats]] | None:
        """What was fitted and said; None where there is nothing, or nothing whole.

        Parameters
        ----------
        key : str
            From :meth:`key`.
        """
        path = self.folder / f"{key}.npz"
        try:
            content = io.BytesIO(path.read_bytes())  # a damaged file is never left open
            with np.load(content, allow_pickle=False) as arrays:
                facts = orjson.loads(arrays["facts"].tobytes())
                additive = forest_arrays.from_bytes(
                    arrays["additive"].tobytes(), len(facts["columns"])
                )
                estimator = estimator_file.from_bytes(arrays["estimator"].tobytes())
                said = {name: arrays[f"said.{name}"] for name in facts["said"]}
                window = arrays["window"]
            usual = {**facts["usual"], "columns": tuple(facts["usual"]["columns"])}
            fitted = Fitted(
                estimator,
                additive,
                facts["columns"],
                Platt(**facts["platt"]),
                window,
                Usual(**usual),
            )
        except (OSError, BadZipFile, BundleError, KeyError, ValueError, TypeError):
            return None
        os.utime(path)
        return fitted, said

    def put(self, key: str, fitted: Fitted, said: dict[str, Floats]) -> None:
        """Keep a fold; it is there whole or not at all.

        Parameters
        ----------
        key : str
            From :meth:`key`.
        fitted : Fitted
            The model of the fold.
        said : dict of str to ndarray
            Probabilities of the test rows, by ranking.
        """
        facts: dict[str, Any] = {
            "columns": fitted.columns,
            "platt": asdict(fitted.platt),
            "usual": asdict(fitted.usual),
            "said": list(said),
        }
        arrays: dict[str, Any] = {f"said.{name}": one for name, one in said.items()}
        content = io.BytesIO()
        np.savez_compressed(
            content,
            facts=np.frombuffer(orjson.dumps(facts), np.uint8),
            estimator=np.frombuffer(estimator_file.to_bytes(fitted.estimator), np.uint8),
            additive=np.frombuffer(forest_arrays.to_bytes(fitted.additive), np.uint8),
            window=fitted.window,
            **arrays,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{key}.{os.getpid()}.part"
        part.write_bytes(content.getvalue())
        part.replace(self.folder / f"{key}.npz")
        for old in self._oldest_first()[:-MOST_FOLDS]:
            old.unlink(missing_ok=True)

    def _oldest_first(self) -> list[Path]:
        return sorted(self.folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
