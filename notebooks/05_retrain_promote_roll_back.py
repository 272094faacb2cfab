# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # Retrain, promote, roll back
#
# Two months later there is more history. Is a model trained on it better than the one that scores
# now? Both are judged on changes neither has seen; the rule is in `docs/promotion.md`. The commands
# are `changerisk train`, `promote`, `rollback` and `monitor`; these are the same steps.

# %%
import os
import tempfile
from datetime import timedelta
from pathlib import Path

from training.config import TrainingConfig
from training.lab import Lab

home = Path(tempfile.mkdtemp())
trees = int(os.environ.get("NOTEBOOK_TREES", "300"))
lab = Lab.example(home)

# %% [markdown]
# ## The model of two months ago

# %%
first = lab.at(lab.as_of - timedelta(days=60)).train(TrainingConfig(estimator={"max_iter": trees}))
print("champion: version", first.register("champion"))

# %% [markdown]
# ## Today's challenger

# %%
second = lab.train(TrainingConfig(estimator={"max_iter": trees, "learning_rate": 0.05}))
print("challenger: version", second.register("challenger"))
second.metrics()

# %% [markdown]
# ## A question to the rule
#
# Every condition with the figures it rests on.

# %%
compared = second.compare("champion")
compared

# %% [markdown]
# ## Promoted, with a reason
#
# The rule decides. Here it is overridden if it says no, so that there is something to roll back;
# that is on record too, in the journal and on the card.

# %%
decided = lab.promote("challenger", reason="to show a roll-back", by="notebook", override=True)
print("by the rule" if decided.promotes else "although the rule refuses")

# %%
print("champion again: version", lab.roll_back(reason="it was a demonstration", by="notebook"))

# %% [markdown]
# ## Is it still true?
#
# The champion on the changes that came after its training: failures seen for each one expected, by
# month, and how far the changes themselves have moved. Counts over a year grow with a young
# history: their distribution shifts without anything being wrong.

# %%
watched = lab.monitor("champion")
watched

# %%
watched.drift()

# %% [markdown]
# ## The card

# %%
second.card("2")
