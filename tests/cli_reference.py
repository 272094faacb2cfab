"""Writes docs/cli.md from the commands themselves: ``python -m tests.cli_reference``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

import changerisk

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"

HEAD = """# The command line

Every command has `--help`, and `--json` for one JSON object on stdout, but for `serve`, which gives
no result, and those that print what they make as it is: `openapi`, `sync example`,
`policy example`, `audit export` and `webhooks secret`. Results go to stdout, everything else to
stderr. Exit codes: 0 done, 1 did not succeed, 2 bad input or usage, 4 store or registry out of
reach, 130 interrupted.

<!-- made by `python -m tests.cli_reference`; a test compares it with the commands -->
"""


def commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its whole name."""
    if isinstance(command, click.Group):
        for part, below in sorted(command.commands.items()):
            yield from commands(f"{name} {part}", below)
    else:
        yield name, command


def page() -> str:
    """The whole reference."""
    parts = [HEAD]
    for name, command in commands("changerisk", changerisk.cli):
        parts.append(f"## `{name}`\n\n{_text(command)}\n")
        rows = [row for parameter in command.params if (row := _row(parameter))]
        if rows:
            parts.append("| | |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _text(command: click.Command) -> str:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        f"```text\n{part.removeprefix(chr(8)).strip(chr(10))}\n```"
        if part.startswith("\b")
        else " ".join(part.split())
        for part in paragraphs
    )


def _row(parameter: click.Parameter) -> str | None:
    if isinstance(parameter, click.Argument):
        name = parameter.human_readable_name.upper()
        return f"| `{name}` | {'needed' if parameter.required else 'may be left out'} |"
    if not isinstance(parameter, click.Option) or parameter.name == "as_json":
        return None
    said = " ".join((parameter.help or "").split())
    if isinstance(parameter.type, click.Choice):
        said += f" One of: {', '.join(map(str, parameter.type.choices))}."
    default = parameter.default
    if parameter.show_default and default is not None and not parameter.is_flag:
        said += f" Default: {default}."
    return f"| `{', '.join(parameter.opts)}` | {said.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
