# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Train, and compare over time
#
# A figure from one lucky window proves little. Here the same way of training is judged on several
# windows one after another, each with a gap before it, beside simple baselines.

# %%
import os
import tempfile
from pathlib import Path

from training.config import TrainingConfig
from training.lab import Lab

config = TrainingConfig(estimator={"max_iter": int(os.environ.get("NOTEBOOK_TREES", "300"))})
home = Path(tempfile.mkdtemp())  # finished windows are kept there; yours is CHANGERISK_HOME
lab = Lab.example(home)
lab.labels()

# %% [markdown]
# ## Links arrive late
#
# A change is judged only when its window has closed and late links have had time to come. Where no
# incident names a change there is nothing to wait for.

# %%
lab.arrival()

# %% [markdown]
# ## Over time, beside the baselines

# %%
judged = lab.evaluate(folds=int(os.environ.get("NOTEBOOK_FOLDS", "4")), config=config)
judged.table()

# %% [markdown]
# If the table says "ship the simple one", believe it: the model has not shown that it ranks better
# than the best baseline.

# %%
judged.windows()

# %%
judged.gain()

# %%
judged.reliability()

# %%
judged.over_time()

# %% [markdown]
# ## Would it be worthless?
#
# Audits look for what makes good figures meaningless. A label made of incidents on the same items
# fails the golden-feature audit: it is largely predicted by the incidents the items always have.

# %%
judged.audits()

# %% [markdown]
# ## Bands before they are used
#
# What a review budget would have asked of the board, quarter by quarter, and what it would have
# found.

# %%
judged.rehearse(0.1)

# %%
judged.rehearse(0.2)

# %% [markdown]
# ## Interrupted?
#
# Every finished window is kept: the same evaluation again takes a moment.

# %%
again = lab.evaluate(folds=int(os.environ.get("NOTEBOOK_FOLDS", "4")), config=config)
print("the same report:", again.report == judged.report)

# %% [markdown]
# ## What each group of facts is worth
#
# Leave it out, fit again, look at what is lost. Three groups here; `lab.ablate()` does them all.

# %%
lab.ablate(["incidents", "ci_track_record", "team_track_record"], config=config)

# %% [markdown]
# ## One model, up to the end of the history

# %%
run = lab.train(config)
run.metrics()

# %%
run.bands()
