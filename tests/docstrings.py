"""Reads numpydoc docstrings: what the reference shows and what the tests ask for."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

SECTIONS = (
    "Parameters",
    "Returns",
    "Yields",
    "Raises",
    "Examples",
    "Notes",
    "References",
    "See Also",
    "Attributes",
)
"""Sections of the numpydoc standard that are used here."""

_HEAD = re.compile(r"^(\S[^\n]*)\n(-{3,})$", re.MULTILINE)
_ENTRIES = ("Parameters", "Returns", "Yields", "Raises", "Attributes")


@dataclass(frozen=True)
class Docstring:
    """A docstring in its parts.

    Parameters
    ----------
    text : str
        Summary and what follows it, up to the first section.
    sections : mapping of str to str
        Bodies of the sections.
    faults : list of str
        What is not numpydoc about it.
    """

    text: str
    sections: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def entries(self, section: str) -> list[tuple[str, str]]:
        """Head line and description of every entry of a section."""
        found: list[tuple[str, list[str]]] = []
        for line in self.sections.get(section, "").splitlines():
            if line and not line.startswith(" "):
                found.append((line, []))
            elif found:
                found[-1][1].append(line.strip())
        return [(head, " ".join(filter(None, lines))) for head, lines in found]

    def named(self, section: str) -> dict[str, str]:
        """Description by name; ``a, b : int`` are two."""
        return {
            name.strip().lstrip("*"): said
            for head, said in self.entries(section)
            for name in head.partition(" : ")[0].split(",")
        }


def read(text: str | None) -> Docstring:
    """The parts of a docstring."""
    text = inspect.cleandoc(text or "")
    heads = list(_HEAD.finditer(text))
    ends = [*(head.start() for head in heads), len(text)][1:]
    sections, faults = {}, []
    for head, end in zip(heads, ends, strict=True):
        name = head[1]
        if name not in SECTIONS:
            faults.append(f"no section of numpydoc: {name}")
        if len(head[2]) != len(name):
            faults.append(f"{name} is not underlined by as many dashes")
        if name in sections:
            faults.append(f"{name} comes twice")
        sections[name] = text[head.end() : end].strip("\n")
        if not sections[name].strip():
            faults.append(f"{name} is empty")
    told = text[: heads[0].start()] if heads else text
    found = Docstring(told.strip(), sections, faults)
    faults += [
        f"{name} holds no entry"
        for name in _ENTRIES
        if name in sections and not found.entries(name)
    ]
    return found
