"""Runs what documentation shows: its fenced blocks, and the commands in them."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

import changerisk

ROOT = Path(__file__).parents[1]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    """The lines of a block that are commands of this project or set the environment."""
    lines = [line.removeprefix("$ ").partition("  #")[0].strip() for line in text.splitlines()]
    return [line for line in lines if re.match(r"(changerisk|export|head) ", f"{line} ")]


def run(line: str, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> str:
    """Run one line as a shell would, inside this process; what it printed.

    Knows ``export NAME=value``, ``changerisk …`` and ``head -n 1 FILE | changerisk …``.
    """
    if line.startswith("export "):
        name, _, value = line.removeprefix("export ").partition("=")
        patch.setenv(name, value)
        return ""
    first, pipe, second = line.partition(" | ")
    words = [os.path.expandvars(word) for word in shlex.split(second if pipe else first)]
    if pipe:
        assert first.startswith("head -n 1 ")
        path = Path(os.path.expandvars(first.removeprefix("head -n 1 ")))
        content = path.read_bytes().splitlines(keepends=True)[0]
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    patch.setattr(sys, "argv", words)
    capture.readouterr()
    code: object = 0
    try:
        changerisk.main()
    except SystemExit as end:
        code = end.code or 0
    out, err = capture.readouterr()
    assert code == 0, f"{line}\n{out}\n{err}"
    assert "Traceback" not in err
    return out
