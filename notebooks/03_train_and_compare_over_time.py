# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Train, and compare over time
#
# A figure from one lucky window proves little. Here the same way of training is judged on several
# windows one after another, each with a gap before it, beside simple baselines.

# %%
import os

from training.config import TrainingConfig
from training.lab import Lab

config = TrainingConfig(estimator={"max_iter": int(os.environ.get("NOTEBOOK_TREES", "300"))})
lab = Lab.example()
lab.labels()

# %% [markdown]
# ## Links arrive late
#
# A change is judged only when its window has closed and late links have had time to come.

# %%
lab.arrival()

# %% [markdown]
# ## Over time, beside the baselines

# %%
judged = lab.evaluate(folds=int(os.environ.get("NOTEBOOK_FOLDS", "4")), config=config)
judged.table()

# %%
judged.gain()

# %%
judged.reliability()

# %%
judged.over_time()

# %% [markdown]
# ## What each group of facts is worth
#
# Leave it out, fit again, look at what is lost. Two groups here; `lab.ablate()` does them all.

# %%
lab.ablate(["ci_track_record", "team_track_record"], config=config)

# %% [markdown]
# ## One model, up to the end of the history

# %%
run = lab.train(config)
run.metrics()

# %%
run.bands()
