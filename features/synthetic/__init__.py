"""The demo organisation: synthetic changes and incidents whose causes are known.

Takes a seed, gives records like those a source reads, and beside them the truth that no real
organisation has: how likely each change was to cause an incident, and why. Everything is invented;
a figure measured here says that the software works, not how well it works anywhere.

The way: :mod:`~features.synthetic.estate` (services, items, teams) -> :mod:`.incidents` (noise) ->
:mod:`.plans` (changes) -> :mod:`.causes` (probability of each) -> :mod:`.outcomes` (what they did)
-> :mod:`.links` (what people recorded of it) -> :mod:`.writing` (records).
"""

from features.synthetic.causes import COEFFICIENTS
from features.synthetic.organisation import NAME, Organisation, organisation

__all__ = ["COEFFICIENTS", "NAME", "Organisation", "organisation"]
