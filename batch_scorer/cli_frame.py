"""What the commands of the command line share: how help is set, and how an error becomes a message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click

from batch_scorer.errors import ScorerError, StoppedError, WorkerError
from batch_scorer.escape import report, visible

SETTINGS = {"show_default": True, "max_content_width": 100, "help_option_names": ["-h", "--help"]}


class BeamCommand(click.Command):
    """A command whose arguments after `--` go to Beam untouched, so that a typo before it stays an error."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta["beam_options"] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])


class EscapingGroup(click.Group):
    """A group whose complaints about words of the command line quote them visibly."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _escaped():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _escaped():
            return super().invoke(ctx)


@contextmanager
def _escaped() -> Iterator[None]:
    try:
        yield
    except getattr(click.exceptions, "NoArgsIsHelpError", ()):
        raise  # its message is the help
    except click.UsageError as error:
        raise click.UsageError(visible(error.format_message()), error.ctx) from None


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turns our errors into a message and an exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ScorerError as error:
            click.secho("error: ", fg="red", bold=True, err=True, nl=False)
            click.echo(report(error), err=True)
            if isinstance(error, (StoppedError, WorkerError)):
                sys.stdout.flush()
                os._exit(error.exit_code)  # Beam's threads would wait for the workers, and print what they miss
            sys.exit(error.exit_code)

    return wrapped
