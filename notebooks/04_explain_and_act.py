# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Explain, and act
#
# A number without a reason changes nothing. The reasons are exact Shapley values of groups of
# facts; they add up to the score, and each is a sentence with its evidence.

# %%
import os
from datetime import timedelta

import numpy as np

from models.explanation import Explainer
from training.config import TrainingConfig
from training.lab import Lab

config = TrainingConfig(estimator={"max_iter": int(os.environ.get("NOTEBOOK_TREES", "300"))})
lab = Lab.example()
run = lab.train(config)
run.importance()

# %% [markdown]
# ## What one fact does over its values
#
# The strongest single column of the strongest group, in the unit its sentence speaks.

# %%
rows, model = lab.rows, run.trained.model
parts = Explainer(model).parts(model.select(rows.table.values[rows.taught]))
strongest = model.columns[int(np.abs(parts.columns).mean(axis=0).argmax())]
run.dependence(strongest)

# %% [markdown]
# ## The riskiest change of the newest hundred

# %%
newest = np.argsort(rows.table.as_of)[-100:]
probability = model.probability(rows.table.values[newest])
row = int(newest[np.argmax(probability)])
name = str(rows.table.change_ids[row])
run.explain(name)

# %% [markdown]
# ## The sum is the score

# %%
base = Explainer(model).base_log_odds
gap = np.abs(base + parts.groups.sum(axis=1) - parts.log_odds).max()
print(f"largest difference between score and sum of its parts: {gap:.1e} log-odds")

# %% [markdown]
# ## What happened before
#
# The most similar earlier changes whose outcome was known when this one was scored.

# %%
run.similar(name)

# %% [markdown]
# ## What the requester could do
#
# The same change with a backout plan, and two weeks later, scored by the same code. An association,
# not a promise: a history without plans, such as BPIC14, has taught nothing about them.

# %%
run.what_if(
    name, backout_plan="Restore the snapshot taken before the change; check the login."
).frame

# %%
change, later = rows.changes.record(row), timedelta(days=14)
start, end = change.planned_start, change.planned_end
moved = {"planned_start": start + later} if start else {}
moved |= {"planned_end": end + later} if end else {}
run.what_if(name, **moved).frame
