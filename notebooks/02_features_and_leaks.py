# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Features and leaks
#
# One row a change, built only from facts known before the moment at which it was scored. This
# notebook looks at the table and then shows what happens when that rule is broken: a label of pure
# noise is "predicted" as well as anything published.

# %%
import os

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from features import instants
from features.catalogue import BY_NAME, CATALOGUE, GROUPS
from features.history import History
from features.policy import POLICIES
from features.synthetic import organisation
from training.lab import EXAMPLE_UNTIL, Lab

lab = Lab.example()
table = lab.table()
table.plot()

# %% [markdown]
# ## What is in the table
#
# Every column is declared once: what is counted, for whom, over which window, in which sentence.
# The picture above shows how much of each group is known in this history.

# %%
print(pd.Series([GROUPS[feature.group] for feature in CATALOGUE]).value_counts().to_string())

# %%
table.frame.filter(like="ci_failure_rate").dropna().tail(5)

# %%
print(BY_NAME["ci_failure_rate_90d"].sentence)

# %% [markdown]
# ## A row does not know the future
#
# Delete everything that became known after a change was scored: its row stays as it was.

# %%
rows = lab.rows
middle = len(rows.table.as_of) // 2
moment = instants.from_micros(int(rows.table.as_of[middle]) + 1)
before = Lab(lab.history.as_of(moment), lab.policy, as_of=moment)
name = rows.table.change_ids[middle]
then = before.rows.table.values[np.flatnonzero(before.rows.table.change_ids == name)[0]]
print("equal to the last bit:", np.array_equal(then, rows.table.values[middle], equal_nan=True))

# %% [markdown]
# ## The canary
#
# An organisation whose incidents fall at random. No honest feature can tell which change will
# cause one. The failure rate of an item taken over the whole table "can": it has seen the answers.

# %%
noise = organisation(
    seed=3,
    until=EXAMPLE_UNTIL,
    changes=int(os.environ.get("NOTEBOOK_CHANGES", "20000")),
    noise_only=True,
)
canary = Lab(History.from_records(noise.records), POLICIES["incident"])
frame = canary.table().frame.dropna(subset=["failed"])
failed = frame["failed"].astype(bool)
items = pd.Series(dict(zip(canary.rows.table.change_ids, canary.rows.changes["ci"], strict=True)))
leaking = failed.groupby(items.reindex(frame.index).fillna("none")).transform("mean")
honest = frame["ci_failure_rate_365d"].fillna(failed.mean())
print(f"item's rate over the whole table:   ROC AUC {roc_auc_score(failed, leaking):.3f}")
print(f"item's rate as known at the moment: ROC AUC {roc_auc_score(failed, honest):.3f}")

# %% [markdown]
# The first figure is the leak: it would be gone in production. The second is what noise is worth:
# about one half. Fields that are known only after the fact cannot even be declared:

# %%
from features.catalogue import Feature

try:
    Feature(
        name="close_code",
        group="kind",
        stream="request",
        aggregate="value",
        unit="code",
        sentence="It closed as {value}",
        missing="Not closed",
    )
except ValueError as refusal:
    print(refusal)
