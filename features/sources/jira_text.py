"""Jira's texts to plain text: wiki markup (REST v2) and Atlassian Document Format (REST v3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

MOST_NODES = 50_000
"""Nodes of a document that are read; a document with more is cut there."""

_BLOCKS = frozenset(
    {
        "paragraph", "heading", "blockquote", "codeBlock", "panel", "rule", "listItem", "taskItem",
        "decisionItem", "tableRow", "expand", "nestedExpand", "mediaSingle", "mediaGroup",
    }
)  # fmt: skip
"""Kinds of nodes that end a line."""

_WORDS = {
    "mention": "text",
    "emoji": "shortName",
    "status": "text",
    "inlineCard": "url",
    "blockCard": "url",
    "date": "timestamp",
}
"""Kinds of nodes without text of their own, and the attribute that says what they show."""

_WIKI = (
    (re.compile(r"\{(?:code|noformat|quote|panel|color|anchor|expand)(?::[^{}\n]{0,200})?\}"), ""),
    (re.compile(r"^[ \t]{0,20}h[1-6]\.[ \t]+", re.MULTILINE), ""),
    (re.compile(r"^[ \t]{0,20}bq\.[ \t]+", re.MULTILINE), ""),
    (re.compile(r"^[ \t]{0,20}[*#-]{1,6}[ \t]+", re.MULTILINE), ""),
    (re.compile(r"\[([^\[\]|\n]{1,500})\|[^\[\]\n]{1,2000}\]"), r"\1"),
    (re.compile(r"\[~(?:accountid:)?([^\[\]\n]{1,200})\]"), r"@\1"),
    (re.compile(r"\[([^\[\]|\n]{1,2000})\]"), r"\1"),
    (re.compile(r"![\w./:-]{1,500}(?:\|[^!\n]{0,200})?!"), ""),
    (re.compile(r"\{\{([^{}\n]{1,500})\}\}"), r"\1"),
    (re.compile(r"\|\|?"), " "),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]{1,1000})(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_\n]{1,1000})(?<=\S)_(?![\w_])"), r"\1"),
    (re.compile(r"\\([\\*_{}\[\]!-])"), r"\1"),
)
"""Marks of the wiki notation and what is left of them."""


def is_document(value: object) -> bool:
    """Whether a value is a document in Atlassian Document Format."""
    return isinstance(value, dict) and value.get("type") == "doc"


def of_document(document: Mapping[str, Any]) -> str:
    """The text of a document, a line for each paragraph, heading, list item or table row.

    Walked without recursion, so that no depth of nesting can be too deep.

    Examples
    --------
    >>> of_document({"type": "doc", "content": [
    ...     {"type": "paragraph", "content": [{"type": "text", "text": "Switch back"}]}]})
    'Switch back'
    """
    parts: list[str] = []
    waiting: list[object] = [document]
    read = 0
    while waiting and read < MOST_NODES:
        node = waiting.pop()
        read += 1
        if isinstance(node, str):
            parts.append(node)
        elif isinstance(node, dict):
            _open(node, parts, waiting)
    lines = (line.strip() for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)


def _open(node: Mapping[str, Any], parts: list[str], waiting: list[object]) -> None:
    """Put what a node holds in front of what is waiting."""
    kind = node.get("type")
    kind = kind if isinstance(kind, str) else ""
    own = node.get("text")
    if isinstance(own, str):
        parts.append(own)
    elif kind == "hardBreak":
        parts.append("\n")
    elif kind in _WORDS:
        attributes = node.get("attrs")
        shown = attributes.get(_WORDS[kind]) if isinstance(attributes, dict) else None
        parts.append(shown if isinstance(shown, str) else "")
    if kind in _BLOCKS:
        waiting.append("\n")
    elif kind in ("tableCell", "tableHeader"):
        waiting.append(" ")
    content = node.get("content")
    if isinstance(content, Sequence) and not isinstance(content, str):
        waiting.extend(reversed(content))


def of_wiki(text: str) -> str:
    r"""Wiki markup without its marks; a text without any stays as it is.

    Examples
    --------
    >>> of_wiki("h2. Plan\n# Upgrade *replica*\n# See [notes|https://example.com]")
    'Plan\nUpgrade replica\nSee notes'
    """
    for pattern, left in _WIKI:
        text = pattern.sub(left, text)
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()
