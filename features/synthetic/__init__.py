"""The demo organisation: synthetic changes and incidents whose causes are known.

Takes a seed, gives records like those a source reads, and beside them the truth that no real
organisation has: how likely each change was to cause an incident, and why. Everything is invented;
a figure measured here says that the software works, not how well it works anywhere.

The way, drawn in the order of :mod:`features.synthetic.story`: ``estate`` (services, items, teams)
-> ``incidents`` (noise) -> ``plans`` (changes) -> ``causes`` (the probability of each) ->
``outcomes`` (what became of them) -> ``links`` (what people recorded of it) -> ``writing``
(records). ``organisation`` is the way in.
"""

from features.synthetic.causes import COEFFICIENTS
from features.synthetic.organisation import NAME, Organisation, organisation

__all__ = ["COEFFICIENTS", "NAME", "Organisation", "organisation"]
