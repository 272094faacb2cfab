# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
# ---

# %% [markdown]
# # History and labels
#
# What an organisation has on record, which of its changes led to incidents, and by whose word. By
# default the data are synthetic: `features.synthetic` invents them, causes included.

# %%
from datetime import timedelta

from features.records import Change, Incident
from training.lab import Lab

lab = Lab.example()
print("source:", lab.source)
lab.quality()

# %% [markdown]
# Each fact has the moment at which it happened and the moment at which it became known. A change
# may have several revisions; an incident a second row when it is resolved.

# %%
lab.history.frame(Change)[["change_id", "revision", "known_at", "planned_start", "ci"]].tail(3)

# %%
lab.history.frame(Incident)[["incident_id", "occurred_at", "known_at", "resolved_at", "ci"]].head(3)

# %% [markdown]
# ## What is filled in
#
# A field that is hardly ever filled cannot explain anything.

# %%
lab.coverage()

# %% [markdown]
# ## Labels as of a date
#
# A change is `caused`, `clean`, or `undecided` while its window has not closed. Looked at a month
# earlier, less is decided; nothing that was decided then has become undecided since.

# %%
lab.labels()

# %%
lab.labels(as_of=lab.as_of - timedelta(days=30))

# %% [markdown]
# ## Links arrive late
#
# Share of all links ever recorded that had arrived some days after the incident opened. The
# settling time of the label (`settle_days`) must leave room for most of them. A history whose
# incidents name no change has no links: there the label rests on incidents on the same items, and
# notebook 03 shows what such a label is worth.

# %%
lab.arrival()

# %% [markdown]
# ## The changes last labelled as caused

# %%
labels = lab.outcomes().frame
labels[labels["outcome"] == "caused"].sort_values("known_at").tail(5)
