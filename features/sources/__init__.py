"""STEP 0. Reading: takes what an ITSM or a repository exports, gives records.

Every source is a function ``read(path, reading)`` that yields records and notes what it had to
reject; it is listed in ``SOURCES`` with the label it was made for.
"""

from features.sources.importing import SOURCES, ImportReport, import_source
from features.sources.reading import Reading, SourceError

__all__ = ["SOURCES", "ImportReport", "Reading", "SourceError", "import_source"]
