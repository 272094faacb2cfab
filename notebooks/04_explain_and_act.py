# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Explain, and act
#
# A number without a reason changes nothing. The reasons are exact Shapley values of groups of
# facts; they add up to the score, and each is a sentence with its evidence.

# %%
import os
from dataclasses import replace
from datetime import timedelta

import numpy as np

from features.columns import Columns
from features.evidence import Question, similar_changes
from features.records import Change
from features.table import build
from models.explanation import Explainer
from training.config import TrainingConfig
from training.lab import Lab

config = TrainingConfig(estimator={"max_iter": int(os.environ.get("NOTEBOOK_TREES", "300"))})
lab = Lab.example()
run = lab.train(config)
run.importance()

# %% [markdown]
# ## The riskiest change of the newest hundred

# %%
rows, model = lab.rows, run.trained.model
newest = np.argsort(rows.table.as_of)[-100:]
probability = model.probability(rows.table.values[newest])
row = int(newest[np.argmax(probability)])
run.explain(rows.table.change_ids[row])

# %% [markdown]
# ## The sum is the score

# %%
parts = Explainer(model).parts(model.select(rows.table.values[newest]))
base = Explainer(model).base_log_odds
gap = np.abs(base + parts.groups.sum(axis=1) - parts.log_odds).max()
print(f"largest difference between score and sum of its parts: {gap:.1e} log-odds")

# %% [markdown]
# ## What happened before
#
# The most similar earlier changes whose outcome was known when this one was scored.

# %%
question = Question(rows.changes, row, int(rows.table.as_of[row]), rows.state)
for one in similar_changes(question):
    print(one)

# %% [markdown]
# ## What the requester could do
#
# The same change two weeks later and with a backout plan, scored by the same code. An association,
# not a promise.

# %%
change = rows.changes.record(row)
moment = np.array([question.as_of])
plan = change.backout_plan or "Restore the snapshot taken before the change; check the login."
later = timedelta(days=14)
asked = {
    "as submitted": change,
    "with a backout plan": replace(change, backout_plan=plan),
}
if change.planned_start and change.planned_end:
    asked["two weeks later"] = replace(
        change, planned_start=change.planned_start + later, planned_end=change.planned_end + later
    )
for words, variant in asked.items():
    table = build(Columns.from_records(Change, [variant]), moment, rows.state)
    print(f"{words:22} {model.probability(table.values)[0]:.1%}")
