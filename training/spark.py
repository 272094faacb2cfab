"""The training table on Apache Spark: the same function, applied to parts of the questions.

The index is made and saved once; the questions lie beside it in Parquet. Every task maps the index
from that folder, as a worker of the service does, and answers its part with the code all engines
share. Spark is no dependency: it is imported when a session is asked for, and nowhere else.
"""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from features.errors import ChangeRiskError
from features.place import Place
from features.policy import LabelPolicy
from features.progress import Progress, silent
from features.saved import load, save
from features.state import FeatureState
from features.table import Building
from training.build import TABLE, Questions, answered_batch, drafted

_MADE_FOR = "one build"
"""What the index is said to be made from: only the tasks of one build ever see it."""

_SETTINGS = {
    "spark.log.level": "OFF",  # what went wrong is said once, by us
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",  # it would listen on every address
    "spark.ui.showConsoleProgress": "false",
}

_ON_THIS_MACHINE = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}

_TASKS_A_CORE = 4

_BY = ("as_of", "change_id")

_LOOK_SECONDS = 0.5


class SparkMissingError(ChangeRiskError):
    """Spark or Java is not there; the message says what to install."""

    exit_code = 2


class SparkFailedError(ChangeRiskError):
    """A build on Spark did not succeed; the message says why."""


def build_there(
    questions: Questions,
    state: FeatureState,
    out: Path,
    *,
    master: str = "local[*]",
    partitions: int | None = None,
    progress: Progress = silent,
) -> None:
    """Build the table on Spark, into a new folder of Parquet files.

    Read in the order of their names, the files hold the rows in the order of the questions.

    Parameters
    ----------
    out : Path
        Its folder must be one that every machine of the cluster sees: there lie index and questions
        while the tasks run.
    master : str
        Where Spark runs, such as ``spark://host:7077`` or ``yarn``.
    partitions : int, optional
        Number of tasks; by default four a core.

    Raises
    ------
    SparkMissingError
        If Spark or Java is missing.
    SparkFailedError
        If a task fails.
    """
    with _session(master) as spark, drafted(out) as folder:
        progress("save the index", 0, None)
        questions.write(folder / "questions.parquet")
        index, policy, place = save(state, folder / "index", _MADE_FOR), state.policy, state.place

        count = partitions or spark.sparkContext.defaultParallelism * _TASKS_A_CORE
        rows = len(questions) // count

        def task(batches: Iterator[Any]) -> Iterator[Any]:
            return answers(batches, rows, index, policy, place)

        asked = spark.read.parquet(f"file://{folder}/questions.parquet")
        # By range, not by hash: the files then follow one another like the rows of one file.
        parts = asked.repartitionByRange(count, *_BY).sortWithinPartitions(*_BY)
        table = parts.mapInArrow(task, _schema())
        write = table.write.parquet
        _watched(lambda: write(f"file://{folder}/{out.name}"), spark, count, progress)


def answers(
    batches: Iterator[Any], rows: int, index: Path, policy: LabelPolicy, place: Place
) -> Iterator[Any]:
    """One task: rows of the table for batches of questions, about so many in all."""
    building = Building(_opened(index, policy, place), rows, support=False)
    for batch in batches:
        yield answered_batch(batch, building)


@cache
def _opened(index: Path, policy: LabelPolicy, place: Place) -> FeatureState:
    """The saved index, mapped once a process; it is refused if the code here is another."""
    state = load(index, policy, lambda _: _MADE_FOR)
    state.place = place
    return state


# what is of Spark --------------------------------------------------------------------------------


def ready() -> None:
    """Look whether Spark and Java are there.

    Raises
    ------
    SparkMissingError
        If one of them is not.
    """
    try:
        import pyspark  # noqa: F401 - only whether it can be
    except ImportError as error:
        raise SparkMissingError(
            f"Apache Spark is not installed ({error}); install it beside this package: "
            "pip install --require-hashes -r requirements-spark.lock"
        ) from error
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise SparkMissingError(
            "Apache Spark needs Java 17 or later: no java is on the PATH and JAVA_HOME is not set; "
            "on Debian: apt-get install openjdk-17-jre-headless"
        )


@contextmanager
def _session(master: str) -> Iterator[Any]:
    """A session that ends with the block."""
    ready()
    # It doubts this pandas, of which mapInArrow uses nothing.
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("change-risk build").master(master)
    local = _ON_THIS_MACHINE if master.startswith("local") else {}
    for name, value in {**_SETTINGS, **local}.items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
        try:
            yield spark
        finally:
            spark.stop()
    except (PySparkException, Py4JError) as error:
        said = last_words(str(error))
        raise SparkFailedError(f"Spark did not build the table: {said}") from error


def _schema() -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(TABLE)


def _watched(write: Callable[[], None], spark: Any, count: int, progress: Progress) -> None:
    """Write, and tell of the tasks that are done."""
    told = spark.sparkContext.statusTracker()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(write)
        while not wait([job], _LOOK_SECONDS).done:
            stages = [told.getStageInfo(stage) for stage in told.getActiveStageIds()]
            done = [s.numCompletedTasks for s in stages if s is not None and s.numTasks == count]
            progress("build", max(done, default=0), count)
        job.result()
        progress("build", count, count)


def last_words(text: str) -> str:
    r"""What went wrong, out of Spark's account of it.

    Examples
    --------
    >>> last_words("Aborted. Traceback (most recent call last):\n  File x\nOSError: full\n\tat y")
    'OSError: full'
    >>> last_words("[PATH_NOT_FOUND] Path does not exist.\nJVM stacktrace: …")
    '[PATH_NOT_FOUND] Path does not exist.'
    """
    _, _, after = text.rpartition("Traceback (most recent call last):")
    lines = (line for line in after.splitlines() if line.strip() and not line[0].isspace())
    return next(lines, text).strip()
