"""`make chaos`: kill, fill, move and damage what the service stands on while it is asked.

    python -m tests.chaos [--seconds 300] [--seed 7] [--store sqlite|postgres] [--act NAME] [--json]

Two instances of the service on one store, callers that never stop; every act at least once: kill -9
of a worker and of an instance, a full disk, the database gone and back, a damaged model, a skewed
clock, a rolling restart, the champion moved. Ends with 1 unless all holds: every answer given is in
the journal as it was given, the chain verifies, sampled answers replay bit for bit, no caller got a
5xx or no answer, and both instances scored again after every act.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from tests.chaos.campaign import ACTS, Campaign
from tests.load import end_on_term


def main() -> None:
    """Run a campaign and print its figures."""
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("--seconds", type=float, default=300.0)
    asked.add_argument("--seed", type=int, default=7)
    asked.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    asked.add_argument("--patience", type=float, default=240.0, help="Seconds to recover within.")
    asked.add_argument("--act", action="append", choices=ACTS, help="Only these; may be repeated.")
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    end_on_term()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        Path(folder).chmod(0o755)  # the database's own user must get in
        campaign = Campaign(
            Path(folder),
            seed=given.seed,
            postgres=given.store == "postgres",
            patience=given.patience,
            acts=given.act or ACTS,
            tell=_tell,
        )
        found = campaign.run(given.seconds).figures()
    lines = [orjson.dumps(found).decode()] if given.json else list(_lines(found))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.exit(0 if found["held"] else 1)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    for name, value in found.items():
        if name == "acts":
            for act, figures in value.items():
                yield (
                    f"  {act}: {figures['times']} times, recovered after "
                    f"{figures['recovery_seconds_median']} s (at most "
                    f"{figures['recovery_seconds_most']} s)"
                )
        else:
            yield f"{name}: {value}"


if __name__ == "__main__":
    main()
