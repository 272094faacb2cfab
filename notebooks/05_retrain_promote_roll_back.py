# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # Retrain, promote, roll back
#
# A year later there is more history. Is a model trained on it better than the one that scores now?
# Both are judged on changes neither has seen; the rule is in `docs/promotion.md`. The commands are
# `changerisk train`, `promote`, `rollback` and `monitor`; here are the same steps by hand.

# %%
import os
import tempfile
from datetime import timedelta
from pathlib import Path

from models.registry import reached
from training.config import TrainingConfig
from training.lab import Lab
from training.monitoring import journaled, lines, monitor

home = Path(tempfile.mkdtemp())
trees = int(os.environ.get("NOTEBOOK_TREES", "300"))
lab = Lab.example(home)

# %% [markdown]
# ## The model of four months ago

# %%
then = Lab(
    lab.history,
    lab.policy,
    as_of=lab.as_of - timedelta(days=60),
    history_from=lab.history_from,
    settings=lab.settings,
)
first = then.train(TrainingConfig(estimator={"max_iter": trees}))
first.register("champion")

# %% [markdown]
# ## Today's challenger, with a question to the rule

# %%
second = lab.train(TrainingConfig(estimator={"max_iter": trees, "learning_rate": 0.05}))
comparison = second.compare("champion")
for condition in comparison.conditions:
    print(f"{condition.outcome:8} {condition.sentence}")
print("promote" if comparison.promotes else "keep the champion")

# %% [markdown]
# ## Registered, promoted, and back again
#
# `changerisk promote` also writes who and why into the journal.

# %%
version = second.register("challenger")
with reached(lab.settings) as registry:
    registry.point("previous", registry.version_of("champion"))
    registry.point("champion", version)
    print("champion:", registry.version_of("champion"))
    registry.point("champion", registry.version_of("previous"))
    print("after the roll-back:", registry.version_of("champion"))
    champion = registry.load("champion")

# %% [markdown]
# ## Is it still true?
#
# The champion on the changes that came after its training: failures expected and seen by month.

# %%
found = monitor(lab.history, champion, journaled([], champion.version), as_of=lab.as_of)
print("\n".join(lines(found)))

# %%
print(second.card(version).markdown()[:1200])
