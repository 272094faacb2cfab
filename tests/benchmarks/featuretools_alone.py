"""The part that runs beside featuretools, without this project; see featuretools_peer."""

import json
import sys
import time
import warnings
from pathlib import Path

import featuretools
import pandas

warnings.simplefilter("ignore")


def main(folder: Path) -> None:
    """Count incidents of each service in the thirty days before each cut-off time."""
    incidents = pandas.read_parquet(folder / "incidents").dropna()
    incidents["id"] = range(len(incidents))
    asked = pandas.read_parquet(folder / "asked")
    services = pandas.DataFrame({"name": sorted({*incidents["name"], *asked["name"]})})
    cutoff = asked[["name", "time"]].drop_duplicates()
    begun = time.process_time()
    entities = featuretools.EntitySet("history")
    entities.add_dataframe(dataframe_name="services", dataframe=services, index="name")
    entities.add_dataframe(
        dataframe_name="incidents", dataframe=incidents, index="id", time_index="time"
    )
    entities.add_relationship("services", "name", "incidents", "name")
    matrix, _ = featuretools.dfs(
        entityset=entities,
        target_dataframe_name="services",
        agg_primitives=["count"],
        trans_primitives=[],
        cutoff_time=cutoff,
        training_window="30 days",
        cutoff_time_in_index=True,
        include_cutoff_time=False,
    )
    spent = time.process_time() - begun
    counts = matrix["COUNT(incidents)"].rename("count").reset_index()
    joined = asked.merge(counts, on=["name", "time"], how="left").sort_values("row")
    sys.stdout.write(
        json.dumps({"cpu_s": spent, "counts": [float(n) for n in joined["count"].fillna(0)]})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
