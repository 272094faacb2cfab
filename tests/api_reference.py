"""Writes the references of Python, HTTP and tables: ``python -m tests.api_reference``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import sqlalchemy as sa

from features.columns import RECORD_TYPES, kinds
from features.store import schema
from features.store.schema import TABLE_NAMES
from serving.openapi import document
from tests.docstrings import Docstring, read

DOCS = Path(__file__).parents[1] / "docs"

NOTE = "<!-- made by `python -m tests.api_reference`; a test compares it with the code -->\n"

_FIELDS = "__dataclass_fields__"

PUBLISHED = {
    "The lab": {
        "training.lab": ["Lab"],
        "training.run": ["Run", "Compared"],
        "training.judged": ["Judged"],
        "training.watched": ["Watched"],
        "training.views": ["View"],
        "training.card": ["Card"],
        "training.config": ["TrainingConfig", "TrainingError"],
    },
    "History and labels": {
        "features.history": ["History"],
        "features.records": [kind.__name__ for kind in RECORD_TYPES],
        "features.policy": ["LabelPolicy", "policy_from"],
        "features.labels": ["label", "summary"],
        "features.settings": ["Settings"],
        "features.store": ["Store"],
        "features.sources": ["import_source"],
        "features.sources.reading": ["Reading"],
        "features.synthetic": ["organisation"],
    },
    "Features": {
        "features.catalogue": ["Feature"],
        "features.table": ["build", "FeatureTable"],
    },
    "Models": {
        "models.bundle": ["RiskModel"],
        "models.bands": ["Bands", "make_bands", "rehearse"],
        "models.calibration": ["Platt", "fit_platt", "levelled"],
        "models.explanation": ["Explainer", "Factor", "Parts"],
        "models.contrast": ["contrast", "contrast_average", "Row", "Contrast", "Difference"],
        "models.global_view": ["importance", "dependence", "stability"],
        "models.registry": ["Registry", "Registered", "reached"],
        "models.snapshot": ["Snapshot"],
    },
    "Training": {
        "training.fit": ["train", "Trained"],
        "training.evaluate": ["evaluate", "Evaluation"],
        "training.promotion": ["compare", "Comparison"],
        "training.champion": ["move", "go_back"],
        "training.monitoring": ["monitor", "journaled", "Monitored"],
        "training.record": ["register"],
        "training.kept": ["Kept"],
    },
    "Scoring without a server": {"serving.offline": ["answers"]},
}
"""What is meant for use from Python; the rest may change without a word."""


def published() -> Iterator[tuple[str, str, Any]]:
    """Heading, full name and object of everything published."""
    for heading, modules in PUBLISHED.items():
        for module, names in modules.items():
            for name in names:
                yield heading, f"{module}.{name}", getattr(import_module(module), name)


def members(one: Any) -> Iterator[tuple[str, FunctionType | property]]:
    """Public methods and properties of a class, those of its bases in our packages too."""
    seen = set()
    for kind in inspect.getmro(one):
        if kind.__module__.partition(".")[0] not in ("features", "models", "training", "serving"):
            continue
        for name, value in vars(kind).items():
            if name.startswith("_") or name in seen or name in getattr(kind, _FIELDS, ()):
                continue
            value = getattr(value, "__func__", value)
            value = property(value.func) if hasattr(value, "attrname") else value
            if isinstance(value, FunctionType | property):
                seen.add(name)
                yield name, value


def python_page() -> str:
    """The reference of the Python API."""
    parts = [
        "# Python",
        "What is meant for use in notebooks and scripts. The rest may change without a word. Times "
        "are aware `datetime`s; arrays of moments hold microseconds since 1970 (UTC).",
        NOTE,
    ]
    last = ""
    for heading, full, one in published():
        if heading != last:
            parts.append(f"## {heading}")
            last = heading
        parts.append(f"### `{full}`")
        if isinstance(one, type):
            parts += _class(one)
        else:
            parts += [_signature(full.rpartition(".")[2], one), _told(read(one.__doc__))]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _class(one: type) -> list[str]:
    parts = [_told(read(one.__doc__))]
    if not issubclass(one, Exception):
        parts.insert(0, _signature(one.__name__, one))
    for name, member in members(one):
        if isinstance(member, property):
            parts.append(f"#### `.{name}`")
            parts.append(_told(read(member.__doc__)))
        else:
            parts.append(f"#### `.{name}()`")
            parts += [_signature(name, member), _told(read(member.__doc__))]
    return parts


class _Dots:
    """A default that is too long to be read, such as all features."""

    def __repr__(self) -> str:
        return "…"


def _signature(name: str, one: Callable[..., Any]) -> str:
    signature = inspect.signature(one)
    parameters = [
        parameter.replace(default=_Dots()) if len(repr(parameter.default)) > 200 else parameter
        for parameter in signature.parameters.values()
        if parameter.name not in ("self", "cls")
    ]
    shown = str(signature.replace(parameters=parameters))
    shown = _bare(shown)
    if isinstance(one, type):
        shown = shown.removesuffix(" -> None")
    text = f"{name}{shown}"
    if len(text) > 96:
        inner = [_bare(str(parameter)) for parameter in parameters]
        star = next((n for n, p in enumerate(parameters) if p.kind is p.KEYWORD_ONLY), None)
        if star is not None:
            inner.insert(star, "*")
        result = shown.rpartition(" -> ")[2] if " -> " in shown else ""
        text = (
            f"{name}(\n    " + ",\n    ".join(inner) + "\n)" + (f" -> {result}" if result else "")
        )
    return f"```text\n{text}\n```"


def _bare(text: str) -> str:
    """Annotations, which are strings, without their quotes; what a factory makes as dots."""
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text).replace("<factory>", "…")
    text = re.sub(r"<function [\w.]*<lambda> at \w+>", "…", text)
    return re.sub(r"<function ([\w.]+) at \w+>", r"\1", text)


def _told(one: Docstring) -> str:
    parts = [_plain(one.text)]
    for section in ("Parameters", "Returns", "Yields", "Raises"):
        if section not in one.sections:
            continue
        rows = []
        for head, said in one.entries(section):
            names, _, kind = head.partition(" : ")
            kind = f" ({kind})" if kind else ""
            rows.append(f"- `{names}`{kind}" + (f": {_plain(said)}" if said else ""))
        parts.append(f"*{section}*\n\n" + "\n".join(rows))
    return "\n\n".join(filter(None, parts))


def _plain(text: str) -> str:
    """Roles and double backticks of reStructuredText as Markdown; figures of text as blocks."""
    text = re.sub(r":(?:func|class|meth|mod):`~?([^`]+)`", r"`\1`", text)
    text = text.replace("``", "`")
    text = re.sub(r" ?\[(\d)\]_", "", text)
    text = re.sub(r"(?m)^\.\. \[\d\] ", "Source: ", text)
    return re.sub(r"(?m)^::$", "", text)


def http_page() -> str:
    """The reference of the HTTP API, from the contract."""
    found = document()
    parts = [
        "# HTTP routes and types",
        "Made from the contract, which `/v1/openapi.json` gives to machines. How to use it, and "
        "what a workflow should do when no score comes, is in [API](api.md).",
        NOTE,
        "## Routes",
    ]
    for path, operations in found["paths"].items():
        for method, one in operations.items():
            parts.append(f"### `{method.upper()} {path}`")
            parts.append(f"{one['summary']}. {one.get('description', '')}".strip())
            parts += _called(one)
    parts.append("## Types")
    for name, one in sorted(found["components"]["schemas"].items()):
        parts.append(f"### {name}")
        parts.append(_plain(one.get("description", "")).replace("\n", " "))
        needed = set(one.get("required", ()))
        rows = [
            f"| `{field}` | {_type(said)} | {'yes' if field in needed else ''} | "
            f"{_cell(said.get('description', ''))} |"
            for field, said in one.get("properties", {}).items()
        ]
        if rows:
            parts.append("| field | type | always | |\n|---|---|---|---|\n" + "\n".join(rows))
    return "\n\n".join(filter(None, parts)) + "\n"


def _called(one: dict[str, Any]) -> Iterator[str]:
    rows = [
        f"| `{said['name']}` | {said['in']} | {_type(said.get('schema', {}))} | "
        f"{_cell(said.get('description', ''))} |"
        for said in one.get("parameters", ())
    ]
    if rows:
        yield "| parameter | in | type | |\n|---|---|---|---|\n" + "\n".join(rows)
    if body := one.get("requestBody"):
        kinds = [f"{_type(said['schema'])} as `{media}`" for media, said in body["content"].items()]
        yield f"Body: {', or '.join(kinds)}."
    rows = []
    for status, answer in one["responses"].items():
        types = {_type(said.get("schema", {})) for said in answer.get("content", {}).values()}
        rows.append(
            f"| {status} | {', '.join(sorted(types))} | {_cell(answer.get('description', ''))} |"
        )
    yield "| status | answer | when |\n|---|---|---|\n" + "\n".join(rows)


def _type(said: dict[str, Any]) -> str:
    if "$ref" in said:
        name = said["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in said:
        return " or ".join(dict.fromkeys(_type(one) for one in said["anyOf"]))
    if "enum" in said:
        return ", ".join(f"`{one}`" for one in said["enum"])
    if "const" in said:
        return f"`{said['const']}`"
    kind = said.get("type", "any")
    if kind == "array":
        return f"list of {_type(said.get('items', {}))}"
    bounds = [f"{word} {said[key]}" for key, word in _BOUNDS.items() if key in said]
    text = "moment" if said.get("format") == "date-time" else str(kind)
    return text + (f" ({', '.join(bounds)})" if bounds else "")


_BOUNDS = {
    "minimum": "from",
    "exclusiveMinimum": "above",
    "maximum": "up to",
    "minLength": "characters from",
    "maxLength": "characters up to",
}


def _cell(text: str) -> str:
    return _plain(" ".join(text.split())).replace("|", "\\|")


def data_page() -> str:
    """The reference of the tables."""
    parts = [
        "# Tables of the store",
        "One database holds one organisation: the facts, the journal of everything answered and "
        "decided, settings and keys. Moments are whole microseconds since 1970 (UTC); lists and "
        "maps are JSON texts. Rows of facts and of the journal are only ever added. What the "
        "fields of an import mean is in [CSV import](csv-mapping.md#the-fields).",
        NOTE,
    ]
    facts = {name: kind for kind, name in TABLE_NAMES.items()}
    for table in schema.metadata.sorted_tables:
        parts.append(f"## `{table.name}`")
        kind = facts.get(table.name)
        said = read(kind.__doc__) if kind else Docstring("")
        parts.append(_plain(said.text))
        parts.append(_columns(table, said.named("Parameters") if kind else {}, kind))
    return "\n\n".join(filter(None, parts)) + "\n"


def _columns(table: sa.Table, told: dict[str, str], kind: type | None) -> str:
    rows = ["| column | type | needed | |", "|---|---|---|---|"]
    fields = kinds(kind) if kind else {}
    for column in table.columns:
        said = told.get(column.name) or column.doc or ""
        assert said, f"{table.name}.{column.name} is not explained"
        sql = str(column.type).lower()
        sort = fields.get(column.name, "")
        shown = f"{sql} ({sort})" if sort and sort != "text" else sql
        rows.append(
            f"| `{column.name}` | {shown} | {'' if column.nullable else 'yes'} | {_cell(said)} |"
        )
    return "\n".join(rows)


PAGES: dict[str, Callable[[], str]] = {
    "python.md": python_page,
    "http.md": http_page,
    "data.md": data_page,
}
"""File under docs by what makes it."""

if __name__ == "__main__":
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
