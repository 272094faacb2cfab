"""Docstrings: there, numpydoc, true to the signature, with errors and, where published, units."""

from __future__ import annotations

import ast
import builtins
import dataclasses
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from tests.api_reference import members, published
from tests.docstrings import read

ROOT = Path(__file__).parents[1]
PACKAGES = ("features", "models", "training", "serving")
MODULES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if "migrations" not in path.parts
)

NUMBERS = re.compile(r"\b(int|float|Floats|Ints)\b")
"""Annotations of numbers."""

UNITS = re.compile(
    r"microseconds?|seconds?|minutes?|hours?|days?|weeks?|months?|moments?|log-odds|probabilit\w+|"
    r"shares?|between 0 and 1|0 to 1|0 or 1|counts?|numbers?|rows?|bytes?|characters?|inches|"
    r"per cent|%|columns?|rates?|index|seed|windows?|slope|intercept|units?|places?|versions?|"
    r"points?|port",
    re.IGNORECASE,
)
"""What a number can be a number of."""


def functions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Public functions and methods, not those inside others."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
            yield f"{inside}{node.name}", node  # type: ignore[misc]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_command(node: ast.FunctionDef) -> bool:
    """Whether it is a command: its help is for people, and its exit codes are in docs/cli.md."""
    return any(re.search(r"\.(command|group)\b", ast.unparse(d)) for d in node.decorator_list)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_all_that_is_public_is_explained(path: Path) -> None:
    tree = parsed(path)
    missing = [] if ast.get_docstring(tree) or not tree.body else ["the module"]
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    missing += [c.name for c in classes if c.name[0] != "_" and not ast.get_docstring(c)]
    faults = []
    for name, node in functions(tree):
        text = ast.get_docstring(node)
        if not text:
            missing.append(name)
            continue
        found = read(text)
        faults += [f"{name}: {fault}" for fault in found.faults]
        arguments = node.args
        known = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        names = {one.arg for one in [*known, arguments.vararg, arguments.kwarg] if one}
        strangers = set(found.named("Parameters")) - names
        faults += [f"{name}: {one} is no parameter" for one in sorted(strangers)]
    for node in classes:
        faults += [f"{node.name}: {one}" for one in read(ast.get_docstring(node)).faults]
    assert (missing, faults) == ([], [])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_errors_raised_are_told(path: Path) -> None:
    faults = []
    for name, node in functions(parsed(path)):
        if is_command(node):
            continue
        told = set(read(ast.get_docstring(node)).named("Raises"))
        faults += [f"{name} raises {one}" for one in sorted(raised(node) - told)]
    assert faults == []


def raised(node: ast.FunctionDef) -> set[str]:
    """Exceptions a function raises itself, by name."""
    found = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Raise) and one.exc is not None:
            call = one.exc.func if isinstance(one.exc, ast.Call) else one.exc
            name = ast.unparse(call)
            if re.fullmatch(r"(?:\w+\.)?[A-Z]\w+", name):
                found.add(name)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_errors_told_exist(path: Path) -> None:
    tree = parsed(path)
    told = {
        one
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for one in read(ast.get_docstring(node)).named("Raises")
    }
    assert {one for one in told if one not in exceptions()} == set()


@cache
def exceptions() -> set[str]:
    """Names of all exceptions of Python, of ours, and of the libraries whose errors we pass on."""
    ours = {
        node.name
        for path in MODULES
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef)
    }
    theirs = {
        "ClientDisconnect",
        "HTTPException",
        "NotFoundException",
        "ValidationError",
        "click.ClickException",
        "click.UsageError",
        "pydantic.ValidationError",
    }
    return set(dir(builtins)) | ours | theirs


PUBLISHED = [(name, one) for _, name, one in published()]


@pytest.mark.parametrize(("name", "one"), PUBLISHED, ids=[name for name, _ in PUBLISHED])
def test_what_is_published_says_what_it_takes_and_gives(name: str, one: Any) -> None:
    faults = []
    if isinstance(one, type):
        if not issubclass(one, Exception):
            faults += _taken(name, one, one.__doc__)
        for part, member in members(one):
            if isinstance(member, FunctionType):
                faults += _taken(f"{name}.{part}", member, member.__doc__)
            else:
                faults += [] if member.__doc__ else [f"{name}.{part} is not explained"]
    else:
        faults += _taken(name, one, one.__doc__)
    assert faults == []


PLAIN = ("self", "cls", "history", "policy", "config", "store", "settings", "registry", "progress",
         "model", "record_type", "records")  # fmt: skip
"""Parameters whose type says it all, everywhere the same."""


def _taken(name: str, one: Any, doc: str | None) -> list[str]:
    told = read(doc).named("Parameters")
    found = []
    for parameter in inspect.signature(one).parameters.values():
        said = told.get(parameter.name)
        hint = str(parameter.annotation)
        if said is None and parameter.name not in PLAIN:
            found.append(f"{name}: {parameter.name} is not explained")
        elif said and NUMBERS.search(hint) and not UNITS.search(f"{parameter.name} {said}"):
            found.append(f"{name}: {parameter.name} has no unit: {said}")
    return found


def test_dataclasses_name_only_fields_they_have() -> None:
    for name, one in PUBLISHED:
        if dataclasses.is_dataclass(one) and isinstance(one, type):
            fields = {field.name for field in dataclasses.fields(one)}
            assert set(read(one.__doc__).named("Parameters")) <= fields, name
