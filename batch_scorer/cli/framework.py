"""What all commands share: how help is laid out, and how an error becomes a message and an exit code."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from batch_scorer.cli import streams
from batch_scorer.config import JSON, PROGRAM
from batch_scorer.errors import ScorerError, StoppedError, WorkerError
from batch_scorer.escape import python, report, secrets_in, typed
from batch_scorer.events import error_line

_SECRET_CHARACTERS = 12  # of a variable, at least: shorter values are switches
# What people call an argument besides its own name.
_ALSO = {"INPUT": ("DATA", "FILE", "FILES", "PATH"), "OUT": ("RUN",), "A": ("BEFORE",), "B": ("AFTER",)}
SETTINGS = {"show_default": True, "max_content_width": 100, "help_option_names": ["-h", "--help"]}


class _Option(click.Option):
    """An option that belongs to a section of the help."""

    def __init__(self, *args: Any, section: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.section = section


def option(section: str | None, *names: str, **settings: Any) -> Callable[[Any], Any]:
    """`click.option` for a section of the help, or for none; sections appear in the order of their first options."""
    if section is None:
        return click.option(*names, **settings)
    return click.option(*names, cls=_Option, section=section, **settings)


def together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options as one decorator; the help shows them in this order."""

    def decorate(command: Any) -> Any:
        for decorator in reversed(options):
            command = decorator(command)
        return command

    return decorate


class Command(click.Command):
    """A command whose help shows its options by section, all aligned."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = [*args]  # which click takes away
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name
            if not name.startswith("--"):  # of a word behind one dash, click takes the first letter for an option
                name = next((word.partition("=")[0] for word in words if word.startswith(name)), name)
            if place := self._place_of(name):
                said = f"{place} is given without a name."
            elif any(f"-{name}" in param.opts for param in self.params):
                said = f"Did you mean '-{name}'?"
            else:
                raise
            raise click.UsageError(f"No such option '{name}'. {said}", error.ctx) from None

    def _place_of(self, option_name: str) -> str | None:
        """The argument that an option of this name, which there is not, would be."""
        name = option_name.lstrip("-").upper()
        for param in self.params:
            if isinstance(param, click.Argument):
                shown = param.metavar or str(param.name).upper()
                own = shown.removesuffix("...").split("|")
                if name in (str(param.name).upper(), *own, *(also for part in own for also in _ALSO.get(part, ()))):
                    return shown
        return None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        # Options without a section come last: --help.
        for param in sorted(self.get_params(ctx), key=lambda param: not hasattr(param, "section")):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                title = "Others" if sections and sections.keys() != {"Options"} else "Options"
                sections.setdefault(getattr(param, "section", title), []).append(record)
        width = min(max((len(names) for records in sections.values() for names, _ in records), default=0), 30)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl([(names.ljust(width), text) for names, text in records])


class Group(Command, click.Group):
    """A group whose help shows options by section, and commands in the order in which people need them."""

    prints_results = True

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if hint := self.hint(args[0]):
                raise click.UsageError(f"{error.format_message()} {hint}", ctx) from None
            raise

    def hint(self, name: str) -> str | None:
        """What to say to somebody who gives the name of no command; None where that is not known."""
        return None

    def main(self, *args: Any, **kwargs: Any) -> Any:
        streams.prepare()
        if not self.prints_results:
            streams.forgive_output()
        try:
            return super().main(*args, **kwargs)
        except ScorerError as error:  # from a help that could not be printed
            show_error(error, None)
            sys.exit(error.exit_code)


class JobGroup(Group):
    """A group of commands whose results are files: what becomes of their output changes no exit code."""

    prints_results = False

    def hint(self, name: str) -> str | None:
        return "Labelled reviews are given with --data." if "." in name or "/" in name else None


def program() -> str:
    """What to type in this shell, in this directory, to call this program again."""
    called = Path(sys.argv[0])
    if called.parts[-2:] == ("batch_scorer", "__main__.py"):
        return f"{python()} -m batch_scorer"
    if called.name != PROGRAM or shutil.which(PROGRAM) == str(called.absolute()):
        return PROGRAM
    return typed(called)


def secrets() -> tuple[str, ...]:
    """What nothing may show: the secrets of the command line and of the environment."""
    names = [name for name in os.environ if re.search("secret|token|passw", name, re.IGNORECASE)]
    return *secrets_in(sys.argv), *(os.environ[name] for name in names if len(os.environ[name]) >= _SECRET_CHARACTERS)


def shown_error(error: ScorerError, log_format: str | None) -> str:
    """An error as it is printed: a line of JSON, or a few lines for people, with colours."""
    if log_format == JSON:
        return error_line(error, secrets())
    return click.style("error: ", fg="red", bold=True) + report(error, secrets())


def show_error(error: ScorerError, log_format: str | None) -> None:
    """Prints an error on standard error."""
    click.echo(shown_error(error, log_format), err=True)


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turns our errors into a message, or a line of JSON if the command's --log-format says so, and an exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            try:
                command(*args, **kwargs)
            finally:
                sys.stdout.flush()  # at the end of the process, an error would be too late
        except ScorerError as error:
            show_error(error, kwargs.get("log_format"))
            if isinstance(error, (StoppedError, WorkerError)):
                sys.stdout.flush()
                os._exit(error.exit_code)  # Beam's threads would wait for the workers, and print that they are gone
            sys.exit(error.exit_code)

    return wrapped
