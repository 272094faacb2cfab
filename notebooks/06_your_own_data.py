# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Your own data: from a CSV export to a first score
#
# Here an export is made up and written to a folder; put yours in its place. Which column is which
# goes into `mapping.toml`, explained in `docs/csv-mapping.md`.

# %%
import io
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pandas as pd

from features.history import History
from features.policy import POLICIES
from features.progress import silent
from features.records import Change, Incident, Link
from features.settings import Settings
from features.sources import import_source
from features.store import Store
from features.synthetic import organisation
from serving.offline import answers
from serving.plaintext import lines
from training.config import TrainingConfig
from training.lab import EXAMPLE_UNTIL, Lab

now = datetime(2026, 11, 22, 12, tzinfo=UTC)
export = Path(tempfile.mkdtemp())
made = organisation(
    seed=11, until=EXAMPLE_UNTIL, changes=int(os.environ.get("NOTEBOOK_CHANGES", "20000"))
)
history = History.from_records(made.records)

# %% [markdown]
# ## The export, with the column names of another tool

# %%
changes = history.frame(Change)
columns = {
    "change_id": "number",
    "revision": "rev",
    "known_at": "updated",
    "ci": "item",
    "assignment_group": "group",
    "short_description": "title",
    "backout_plan": "backout",
    "planned_start": "start",
    "planned_end": "end",
}
changes[list(columns)].rename(columns=columns).to_csv(export / "changes.csv", index=False)
incidents = history.frame(Incident).drop_duplicates("incident_id")
causes = history.frame(Link).query("kind == 'caused_by'").set_index("incident_id")["change_id"]
opened = pd.DataFrame(
    {
        "number": incidents["incident_id"],
        "opened": incidents["occurred_at"],
        "updated": incidents["known_at"],
        "priority": incidents["priority"],
        "item": incidents["ci"],
        "because_of": incidents["incident_id"].map(causes.groupby(level=0).first()),
    }
)
opened.to_csv(export / "incidents.csv", index=False)

# %% [markdown]
# ## Which column is which

# %%
(export / "mapping.toml").write_text(
    """
[source]
timezone = "UTC"
label = "incident"

[changes.columns]
change_id = "number"
revision = "rev"
known_at = "updated"
ci = "item"
assignment_group = "group"
short_description = "title"
backout_plan = "backout"
planned_start = "start"
planned_end = "end"

[incidents.columns]
incident_id = "number"
occurred_at = "opened"
known_at = "updated"
priority = "priority"
ci = "item"
caused_by = "because_of"
"""
)

# %%
home = Path(tempfile.mkdtemp())
settings = Settings.from_environment({"CHANGERISK_HOME": str(home)})
store = Store(settings.store_url)
report = import_source(store, "csv", export, now=now, rejects=home / "rejected")
print("\n".join(report.lines()))

# %% [markdown]
# ## Train and register

# %%
trees = int(os.environ.get("NOTEBOOK_TREES", "300"))
lab = Lab(store.load(), POLICIES["incident"], settings=settings, source="csv")
run = lab.train(TrainingConfig(estimator={"max_iter": trees}))
run.register("champion")
run.metrics()

# %% [markdown]
# ## The first score

# %%
change = {
    "change_id": "CHG-NEW-1",
    "short_description": "Upgrade the database of the web shop",
    "ci": changes["ci"].mode()[0],
    "assignment_group": changes["assignment_group"].mode()[0],
    "planned_start": "2026-11-29T22:00:00Z",
    "planned_end": "2026-11-29T23:00:00Z",
}
for answer, problem in answers(settings, io.BytesIO(orjson.dumps(change)), silent):
    print("\n".join(lines(answer)) if answer else problem)
store.close()
