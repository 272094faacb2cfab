"""STEPS 1 to 3: takes what was recorded, gives a table with one row a change.

``read`` (:mod:`features.sources`) -> ``label`` (:mod:`features.labels`) -> ``build``
(:mod:`features.table`). Knows nothing of models, training or serving.
"""
