"""The command line: wires the packages together and does nothing else.

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 did not succeed, 2 bad input
or usage, 4 store or registry out of reach, 130 interrupted.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def insisting() -> Iterator[None]:
    """Interrupt once more where Python can only ignore it.

    What is raised while an object is cleared away, or in code that is called by other than
    Python's, reaches nobody: a Ctrl-C would be lost, and the command go on.
    """
    before = sys.unraisablehook

    def insist(ignored: sys.UnraisableHookArgs) -> None:
        if ignored.exc_type is not KeyboardInterrupt:
            before(ignored)
            return
        again = threading.Timer(0.05, _thread.interrupt_main)
        again.daemon = True
        again.start()

    sys.unraisablehook = insist
    try:
        yield
    finally:
        sys.unraisablehook = before


try:
    with insisting():
        import rich_click as click
        from click.exceptions import Exit

        import features.commands
        import serving.commands
        import training.commands
        import training.model_commands
        import training.policy_commands
        from features.console import err
        from features.errors import ChangeRiskError
        from features.language import catalogue_from, speak
        from features.settings import Settings
except KeyboardInterrupt:  # the imports take a second or two
    sys.exit(130)

# Threads that wait for one another must sleep, not spin: beside other work spinning costs minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("DO_NOT_TRACK", "true")
# A registry out of reach is said within seconds; MLflow would try for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

click.rich_click.MAX_WIDTH = 100


def main() -> None:
    """Run the command line; turn every known failure into a sentence and an exit code."""
    try:
        with insisting():
            cli(prog_name="changerisk", standalone_mode=False)
    except Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        err.print("interrupted; nothing half-written was kept")
        sys.exit(130)
    except BrokenPipeError:  # whoever read the results has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ChangeRiskError as error:
        _fail(error, error.exit_code)
    except OSError as error:
        _fail(error, 1)


def _fail(error: object, code: int) -> None:
    err.print("[bold red]Error:[/] ", end="")
    err.print(str(error), markup=False, soft_wrap=True)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="change-risk")
@click.pass_context
def cli(context: click.Context) -> None:
    """How likely a planned IT change is to cause an incident, why, and what would lower it.

    A first round, in this order:

    \b
      changerisk demo                     a synthetic organisation to try things on
      changerisk import csv ./export      or your own changes and incidents
      changerisk labels                   which changes led to incidents, and who says so
      changerisk train                    fit, judge and register a model
      changerisk score change.json        probability, reasons, evidence
      changerisk serve                    the same over HTTP

    Everything lives in the folder CHANGERISK_HOME (default ./var): one folder, one organisation.
    """  # noqa: D301 - \b keeps the lines as they are
    context.obj = Settings.from_environment(os.environ)
    speak(catalogue_from(context.obj.messages))


for command in (
    *features.commands.COMMANDS,
    *training.commands.COMMANDS,
    *training.model_commands.COMMANDS,
    *training.policy_commands.COMMANDS,
    *serving.commands.COMMANDS,
):
    cli.add_command(command)


if __name__ == "__main__":
    main()
