# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # History and labels
#
# What an organisation has on record, which of its changes led to incidents, and by whose word. The
# data here are synthetic: `features.synthetic` invents them, causes included.

# %%
import os
from datetime import UTC, datetime, timedelta

from features.history import History
from features.labels import label, summary, summary_lines
from features.policy import POLICIES
from features.records import Change, Incident, Link
from features.synthetic import organisation

until = datetime(2026, 11, 22, tzinfo=UTC)
made = organisation(seed=7, until=until, changes=int(os.environ.get("NOTEBOOK_CHANGES", "20000")))
history = History.from_records(made.records)
print(made.describe())

# %% [markdown]
# A change may have several revisions; an incident a second row when it is resolved. Each fact has
# the moment at which it happened and the moment at which it became known.

# %%
history.frame(Change)[["change_id", "revision", "known_at", "planned_start", "ci"]].tail(3)

# %%
history.frame(Incident)[["incident_id", "occurred_at", "known_at", "resolved_at", "ci"]].head(3)

# %% [markdown]
# ## Labels as of a date
#
# A change is `caused`, `clean`, or `undecided` while its window has not closed. Looked at a month
# earlier, less is decided; nothing that was decided then has become undecided since.

# %%
policy = POLICIES["incident"]
print("\n".join(summary_lines(summary(history, policy, as_of=until))))
print("\n".join(summary_lines(summary(history, policy, as_of=until - timedelta(days=30)))))

# %% [markdown]
# ## Links arrive late
#
# Share of all links ever recorded that had arrived some days after the incident opened. The
# settling time of the label (`settle_days`) must leave room for most of them.

# %%
links = history.frame(Link).query("kind == 'caused_by'")
delay = (links["known_at"] - links["occurred_at"]).dt.total_seconds() / 86_400
for days in (1, 3, 7, 14):
    print(f"within {days:2} days: {(delay <= days).mean():.0%}")

# %% [markdown]
# ## What happened to the changes last labelled as caused

# %%
labels = label(history, policy, as_of=until)
labels[labels["outcome"] == "caused"].sort_values("known_at").tail(5)
