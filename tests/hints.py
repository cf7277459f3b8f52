"""Hints that tests provoke: each `fix` of an error is kept, and what it advises is looked at when a session ends."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import click
import pytest

from batch_scorer.cli.main import main
from batch_scorer.errors import ScorerError

provoked: set[str] = set()
PROGRAM = "batch-scorer"
PACKAGES = ("batch_scorer.", "train.")
COPYING = ("batch_scorer.errors", "batch_scorer.escape")
OTHERS = frozenset({"--help", "--version", "--runner", "--project", "--region", "--recursive"})  # of Beam and of gcloud


@contextmanager
def collected() -> Iterator[None]:
    """Keeps the fix of every error that the package makes here meanwhile, and checks all of them at the end.

    Errors that a test makes for itself say anything, and `escape` makes copies of them.
    """
    make = ScorerError.__init__

    def kept(self: ScorerError, *args: Any, **details: Any) -> None:
        make(self, *args, **details)
        maker = str(sys._getframe(1).f_globals["__name__"])
        if self.fix and maker.startswith(PACKAGES) and maker not in COPYING:
            provoked.add(self.fix)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScorerError, "__init__", kept)
        yield
    wrong = {fix: found for fix in sorted(provoked) if (found := faults(fix))}
    assert not wrong, "\n".join(f"{fix!r}: {found}" for fix, found in wrong.items())


def faults(fix: str) -> list[str]:
    """What is wrong with the commands and options in a hint."""
    commands = [command for command in re.findall(r"`([^`]*)`", fix) if command.startswith(PROGRAM)]
    found = [fault for command in commands if (fault := _fault(command))]
    rest = re.sub(r"`[^`]*`|'[^']*'", "", fix)
    options = re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w-]*_)", rest)
    return found + [f"no option {option}" for option in options if option not in known_options()]


def _fault(command: str) -> str | None:
    """Why a command line is not one of ours; None if it is, or is only the name of a command."""
    try:
        _, *words = shlex.split(command)
    except ValueError:
        return None  # quoted as bash does, which `tests.cli.test_advice` asks
    # A job of a test that is not started as a command repeats what the tests were started with.
    if not words or "..." in words or not re.fullmatch("[a-z]+", words[0]):
        return None
    name, *rest = words
    group = main.make_context(PROGRAM, ["--help"], resilient_parsing=True)
    known = main.get_command(group, name)
    if known is None:
        return f"No such command {name!r}"
    try:
        if rest:
            known.make_context(name, rest, parent=group)
    except click.UsageError as error:
        return error.format_message()
    return None


@cache
def known_options() -> frozenset[str]:
    """Every option of the commands of `batch-scorer` and `python -m train`, and those of others that messages name."""
    from train.cli import main as train

    return OTHERS.union(option for group in (main, train) for option in _options(group))


def _options(command: click.Command) -> Iterator[str]:
    for param in command.params:
        yield from (*param.opts, *param.secondary_opts)
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _options(inner)
